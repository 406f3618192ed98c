//! The `moonward` command: a client so small that it starts as fast as `true`.
//!
//! It builds the few files that it needs as its own modules and does not use the library: what a
//! crate that is not used links to is not linked, so the client needs no shared library and can be
//! linked statically (`cargo rustc --release --bin moonward -- -C target-feature=+crt-static`),
//! which is what packages do. Verbs that need the library are handed to `moonward-agent`.

use std::process::ExitCode;

#[expect(
    unreachable_pub,
    dead_code,
    reason = "the files belong to the library too, which shows and uses all of them"
)]
mod cli {
    pub mod ask;
    pub mod dispatch;
    pub mod exit;
    pub mod get;
    pub mod handoff;
    pub mod help;
    pub mod metrics;
    pub mod output;
    pub mod ping;
    pub mod plugins;
    pub mod reload;
    pub mod socket;
    pub mod status;
    pub mod stop;
    pub mod suggest;
    pub mod verb;
    pub mod zalua;
}

#[expect(
    unreachable_pub,
    dead_code,
    reason = "the client uses one half of each codec, the service the other"
)]
mod serve {
    pub mod control {
        pub mod codec;
    }
    pub mod zalua {
        pub mod codec;
    }
}

fn main() -> ExitCode {
    ExitCode::from(cli::dispatch::dispatch(std::env::args_os(), |_, _| {
        // The agent reads the whole command line itself.
        cli::handoff::become_agent(std::env::args_os().skip(1).collect())
    }))
}
