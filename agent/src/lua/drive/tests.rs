use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::lua::context::Publish;
use crate::lua::pool::THREADS_MAX;
use crate::lua::testing::{LIMITS, Stage};
use crate::lua::{Fault, SessionError};

/// A comparison, where no script can yield, that waits for longer than anybody has.
const BLOCKED: &str = "table.sort({1, 2, 3}, function(a, b)
    metrics.set('blocked', 1)
    while true do pcall(time.sleep, 1e6) end
end)";

#[test]
fn a_wait_that_cannot_yield_ends_when_the_script_is_stopped() {
    let stage = Stage::new();
    let run = stage.start("blocked.lua", BLOCKED);
    while stage.store.get("blocked").is_none() {
        std::thread::yield_now();
    }
    run.stop();
    assert_eq!(stage.wait(&run).unwrap_err().fault, Fault::Stopped);
    assert!(!run.is_left_behind(), "its thread is free");
}

#[test]
fn a_wait_that_cannot_yield_ends_with_the_deadline() {
    let stage = Stage::new();
    let source = format!("plugin.every(1, function()\n{BLOCKED} end)");
    stage.write("blocked.lua", source);
    let deadline = Duration::from_millis(100);
    let run = stage.host.start(crate::lua::Script {
        deadline,
        ..stage.script("blocked.lua")
    });
    let error = stage.wait(&run).unwrap_err();
    assert_eq!(error.fault, Fault::Deadline(deadline));
    assert!(!run.is_left_behind(), "its thread is free");
}

#[test]
fn a_deadline_ends_a_turn_that_computes_and_says_where() {
    let mut stage = Stage::new();
    stage.limits.time = None;
    stage.write(
        "busy.lua",
        "plugin.every(1, function()\n\nwhile true do end end)",
    );
    let deadline = Duration::from_millis(100);
    let run = stage.host.start(crate::lua::Script {
        deadline,
        ..stage.script("busy.lua")
    });
    let error = stage.wait(&run).unwrap_err();
    assert_eq!(
        (error.fault, error.line),
        (Fault::Deadline(deadline), Some(3))
    );
}

#[test]
fn a_conversation_goes_on_when_what_was_interrupted_has_come_back() {
    let (release, hung) = mpsc::channel::<()>();
    let (hung, reached) = (std::sync::Mutex::new(hung), mpsc::channel::<()>());
    let (begins, begun) = reached;
    let hang = Publish(Arc::new(move |series, _, _, _| {
        if series.as_str() == "hang" {
            begins.send(()).map_err(|error| error.to_string())?;
            hung.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }));
    let stage = Stage::changed(|options| options.publish = Some(hang));
    let (mut session, interrupt) = stage.host.session(LIMITS).unwrap();
    let waiter = interrupt.clone();
    let interrupter = std::thread::spawn(move || {
        begun.recv().unwrap();
        waiter.interrupt();
    });
    let mut say = |text: &str| stage.runtime.handle().block_on(session.evaluate(text));
    let fault = |result| match result {
        Err(SessionError::Script(error)) => error.fault,
        other => panic!("{other:?}"),
    };
    let source = "x = 1 metrics.set('hang', 1) while true do x = 2 end";
    assert_eq!(fault(say(source)), Fault::Stopped);
    interrupter.join().unwrap();
    interrupt.ready();
    let text = "its last turn hangs in a call of the library or the system";
    assert_eq!(fault(say("x")), Fault::Host(text.to_owned()));
    release.send(()).unwrap();
    let mut answer = say("x");
    while answer.is_err() {
        std::thread::yield_now();
        answer = say("x");
    }
    // It was ended when it came back, for an interruption is not taken back before that.
    assert_eq!(answer, Ok(vec!["2".to_owned()]));
}

#[test]
fn a_deadline_does_not_pass_while_others_have_all_threads() {
    let (gate, begun) = (Arc::new(std::sync::RwLock::new(())), mpsc::channel());
    let (begins, begun) = begun;
    let closed = Arc::clone(&gate);
    let hang = Publish(Arc::new(move |series, _, _, _| {
        if series.as_str() == "hang" {
            begins.send(()).map_err(|error| error.to_string())?;
            drop(closed.read().unwrap());
        }
        Ok(())
    }));
    let stage = Stage::changed(|options| options.publish = Some(hang));
    stage.write(
        "tick.lua",
        "local n = 0 plugin.every(0.1, function() n = n + 1 metrics.set('tick', n) end)",
    );
    let deadline = Duration::from_secs(1);
    let tick = stage.host.start(crate::lua::Script {
        deadline,
        ..stage.script("tick.lua")
    });
    let value = || stage.store.get("tick").and_then(|tick| tick.value.as_f64());
    while value().is_none() {
        std::thread::yield_now();
    }
    let shut = gate.write().unwrap();
    let hung: Vec<_> = (0..THREADS_MAX)
        .map(|number| stage.start(&format!("hang{number}.lua"), "metrics.set('hang', 1)"))
        .collect();
    for _ in &hung {
        begun.recv().unwrap();
    }
    let waits = || tick.status().awaits_thread > Some(deadline * 3 / 2);
    while !waits() {
        assert_eq!(tick.ending(), None);
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = value();
    drop(shut);
    while value() == before {
        assert_eq!(tick.ending(), None);
        std::thread::sleep(Duration::from_millis(1));
    }
    for run in &hung {
        assert_eq!(stage.wait(run), Ok(()));
    }
}
