//! What becomes of the siblings and of the page of a plugin that hangs in a call of the library, in
//! the real host: whoever hears of values does not come back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;

use crate::collect::Root;
use crate::lua::context::Publish;
use crate::lua::testing::Stage;
use crate::lua::{Ending, Run, Script};
use crate::model::Clock;
use crate::telemetry::PartStatus;

/// Who hangs, and who may go on.
#[derive(Clone, Default)]
struct Gate {
    state: Arc<(Mutex<Hanging>, Condvar)>,
}

#[derive(Default)]
struct Hanging {
    hang: BTreeSet<String>,
    open: BTreeSet<String>,
}

impl Gate {
    /// What hears of values: whoever puts a series whose name begins with `hang` hangs.
    fn publish(&self) -> Publish {
        let gate = self.clone();
        Publish(Arc::new(move |series, _, _, _| {
            if series.as_str().starts_with("hang") {
                gate.hang(series.as_str());
            }
            Ok(())
        }))
    }

    fn hang(&self, name: &str) {
        let (state, changed) = &*self.state;
        let mut hanging = state.lock().unwrap();
        hanging.hang.insert(name.to_owned());
        changed.notify_all();
        drop(changed.wait_while(hanging, |hanging| !hanging.open.contains(name)));
    }

    /// Waits until so many hang.
    fn until(&self, number: usize) {
        let (state, changed) = &*self.state;
        let hanging = state.lock().unwrap();
        drop(changed.wait_while(hanging, |hanging| hanging.hang.len() < number));
    }

    fn open(&self, name: &str) {
        let (state, changed) = &*self.state;
        state.lock().unwrap().open.insert(name.to_owned());
        changed.notify_all();
    }
}

/// The page of this name, brought up to date.
fn page(stage: &Stage, name: &Path) -> PartStatus {
    stage.host.services().register.refresh();
    let name = name.display().to_string();
    let mut parts = stage.board.statuses().into_iter();
    parts.find(|part| part.name == name).unwrap()
}

fn reason(stage: &Stage, name: &Path) -> String {
    page(stage, name).reason.unwrap_or_default()
}

fn value(stage: &Stage, series: &str) -> f64 {
    let found = stage.store.get(series);
    found.and_then(|found| found.value.as_f64()).unwrap_or(0.0)
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited too long until {what}");
}

#[test]
fn two_that_hang_give_their_places_up_and_a_sibling_that_waits_says_so_and_goes_on() {
    let gate = Gate::default();
    let (clock, hand) = Clock::manual();
    let publish = gate.publish();
    let mut stage = Stage::made(clock, Root::machine(), |options| {
        options.publish = Some(publish);
    });
    stage.limits.time = None;
    let tick = stage.write(
        "tick.lua",
        "local n = 0 plugin.every(0.1, function() n = n + 1 metrics.set('tick', n) end)",
    );
    for name in ["hang.1", "hang.2"] {
        stage.write(&format!("{name}.lua"), format!("metrics.set('{name}', 1)"));
    }
    let directory = stage.directory.path().display();
    let source = format!(
        "local tick = plugin.new('{directory}/tick.lua')
         tick:run()
         while not metrics.get('tick') do time.sleep(0.01) end
         for n = 1, 2 do plugin.new('{directory}/hang.' .. n .. '.lua'):run() end
         while true do time.sleep(60) end"
    );
    stage.write("parent.lua", source);
    let parent = stage.host.start(Script {
        deadline: Duration::from_secs(1),
        ..stage.script("parent.lua")
    });
    gate.until(2);
    until("its page says that it waits", || {
        hand.advance(Duration::from_secs(1));
        reason(&stage, &tick).starts_with("waits for its turn since 1970-01-01 00:00:")
    });
    assert_eq!(page(&stage, &tick).verdict, "degraded");
    let before = value(&stage, "tick");
    // The deadline passes five times meanwhile, and it is not its fault.
    until("it goes on", || value(&stage, "tick") >= before + 3.0);
    until("its page says so", || {
        page(&stage, &tick).verdict == "active"
    });
    assert_eq!(page(&stage, &tick).errors, 0);
    gate.open("hang.1");
    gate.open("hang.2");
    parent.stop();
    stage.wait(&parent).unwrap_err();
}

/// Counts what is told on this thread.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<usize>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Told {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            *self.0.lock().unwrap() += 1;
        }
    }
}

/// A script that hangs under this name.
fn hanging(stage: &Stage, name: &str) -> Script {
    Script {
        code: Some(format!("metrics.set('{name}', 1)").into_bytes().into()),
        ..stage.script("hung.lua")
    }
}

/// Stops a run and waits until it has ended.
fn end(stage: &Stage, run: &Run) {
    run.stop();
    stage.wait(run).unwrap_err();
}

#[test]
fn a_hang_is_told_once_however_often_the_plugin_is_run_again() {
    let gate = Gate::default();
    let stage = Stage::changed(|options| options.publish = Some(gate.publish()));
    let name = Path::new("/hung.lua");
    let page = stage.host.services().register.page("/hung.lua");
    let hung = stage.host.start(hanging(&stage, "hang"));
    page.begins(hung.clone());
    gate.until(1);
    end(&stage, &hung);
    let told = Told::default();
    let subscriber = tracing_subscriber::registry().with(told.clone());
    tracing::subscriber::with_default(subscriber, || {
        page.ended(&hung, None);
        for _ in 0..3 {
            let (before, account) = (page.predecessors(), hung.account());
            let run = stage
                .host
                .start_child(hanging(&stage, "never"), account, before);
            page.begins(run.clone());
            page.is_made();
            end(&stage, &run);
            page.ended(&run, None);
            assert!(reason(&stage, name).ends_with("it is not run again before that call ends"));
        }
    });
    assert_eq!(*told.0.lock().unwrap(), 1);
    assert!(stage.store.get("never").is_none());
    gate.open("hang");
    stage.runtime.handle().block_on(hung.released());
    page.rests(&hung, false);
    assert_eq!(self::page(&stage, name).verdict, "off");
}

#[test]
fn a_plugin_waits_for_all_runs_of_it_that_were_told_to_end() {
    let gate = Gate::default();
    let stage = Stage::changed(|options| options.publish = Some(gate.publish()));
    let page = stage.host.services().register.page("/hung.lua");
    let hung = ["hang.1", "hang.2"].map(|name| stage.host.start(hanging(&stage, name)));
    for run in &hung {
        page.begins(run.clone());
    }
    gate.until(2);
    for run in &hung {
        end(&stage, run);
    }
    let before = page.predecessors();
    assert_eq!(before.len(), 2);
    let account = hung[0].account();
    let next = stage
        .host
        .start_child(hanging(&stage, "next"), account, before);
    page.begins(next.clone());
    let patience = |duration, run: &Run| {
        let ended = async { tokio::time::timeout(duration, run.ended()).await.ok() };
        stage.runtime.handle().block_on(ended)
    };
    for (name, run) in ["hang.2", "hang.1"].iter().zip(hung.iter().rev()) {
        assert_eq!(patience(Duration::from_millis(50), &next), None, "{name}");
        assert!(reason(&stage, Path::new("/hung.lua")).starts_with("hangs in a call"));
        gate.open(name);
        stage.runtime.handle().block_on(run.released());
    }
    let ending = patience(Duration::from_secs(20), &next);
    assert_eq!(ending, Some(Ending::Returned));
}
