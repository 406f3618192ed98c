//! Tests of loading without a kernel to load into.

use super::*;

/// aya sets only the globals that an object has; a name that no object has would leave an
/// offset at 0.
#[test]
fn every_setting_is_a_global_of_its_object() {
    let Ok(kernel) = std::fs::read(btf::KERNEL_BTF) else {
        println!("skipped: this kernel has no BTF");
        return;
    };
    let names = offsets::wanted_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let btf = Btf::parse(&kernel, &names).unwrap();
    for object in Object::ALL {
        let Some(bytes) = object.bytes() else {
            println!("skipped: {NO_OBJECTS}");
            continue;
        };
        for setting in offsets::resolve(&btf, object.as_str()).settings.keys() {
            let symbol = format!("{setting}\0");
            assert!(
                bytes
                    .windows(symbol.len())
                    .any(|window| window == symbol.as_bytes()),
                "{setting} in {object:?}"
            );
        }
    }
}

#[test]
fn what_is_off_is_not_loaded() {
    let outcome = load(&[], &mut Store::default());
    assert!(outcome.running.is_empty());
    assert_eq!(outcome.verdicts.len(), PROGRAMS.len());
    assert!(
        outcome
            .verdicts
            .iter()
            .all(|verdict| verdict.verdict == Verdict::Off)
    );
}
