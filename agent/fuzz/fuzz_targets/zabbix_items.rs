//! Item keys from the door to the answer: no key panics or takes long, and a discovery document is
//! JSON.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use moonward::collect::filesystem::Ignored;
use moonward::collect::{Root, registry};
use moonward::model::Clock;
use moonward::serve::zabbix::answer::{Answer, Refusal};
use moonward::serve::zabbix::item_key::ItemKey;
use moonward::serve::zabbix::items::{Identity, Items};
use moonward::store::{Store, StoreLimits};
use moonward_fuzz::{machines, round};

/// What an agent on a recorded machine serves after a minute.
static ITEMS: LazyLock<Items> = LazyLock::new(|| {
    let root = Root::recorded(machines().join("minimal"));
    let (clock, hand) = Clock::manual();
    let store = Store::new(clock, StoreLimits::default());
    let items = Items::new(store.clone(), Identity::default(), root.clone());
    let mut collectors = registry::all(Ignored::default(), true);
    for seconds in (10..=60).step_by(10) {
        hand.advance(Duration::from_secs(10));
        for collector in &mut collectors {
            let (batch, _) = round(collector.as_mut(), &root, seconds);
            store.put(collector.name(), &batch, None);
        }
        items.refresh();
    }
    items
});

fuzz_target!(|text: &str| {
    let items = &*ITEMS;
    let mut out = String::new();
    let Ok(key) = ItemKey::parse(text) else {
        let answered = items.answer_verbatim(text, &mut out);
        assert!(answered || out.is_empty());
        return;
    };
    let answer = match items.answer(&key, &mut out) {
        Ok(()) => Ok(()),
        Err(Refusal::NotSupported(reason)) => Err(reason),
        Err(Refusal::Slow) => {
            out.clear();
            items.answer_slowly(&key, &mut out)
        }
    };
    match answer {
        Ok(()) if key.name.ends_with(".discovery") => {
            let document: Result<serde_json::Value, _> = serde_json::from_str(&out);
            assert!(document.is_ok_and(|document| document.is_array()), "{out}");
        }
        Ok(()) => {}
        Err(reason) => assert!(!reason.0.is_empty()),
    }
});
