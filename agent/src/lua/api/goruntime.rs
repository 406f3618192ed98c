//! `goruntime`: the system and the processor, in Go's words.

use super::Module;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.field("goos", std::env::consts::OS)?;
    module.field("goarch", architecture(std::env::consts::ARCH))
}

fn architecture(name: &'static str) -> &'static str {
    match name {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lua::testing::Stage;

    #[test]
    fn names_are_go_s() {
        assert_eq!(architecture("x86_64"), "amd64");
        assert_eq!(architecture("riscv64"), "riscv64");
        Stage::new().pass(format!(
            "assert(goruntime.goos == 'linux' and goruntime.goarch == '{}')",
            architecture(std::env::consts::ARCH)
        ));
    }
}
