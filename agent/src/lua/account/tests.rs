use futures_util::FutureExt as _;

use super::*;

#[test]
fn what_a_script_runs_is_charged_to_it_and_to_all_above() {
    let plugin = Account::new(100);
    let child = plugin.child(80);
    let grandchild = child.child(1000);
    plugin.set(10);
    child.set(20);
    grandchild.set(30);
    assert_eq!((plugin.sum(), child.sum(), grandchild.sum()), (60, 50, 30));
    assert_eq!(grandchild.room(), (30, 80), "its parent's limit is nearest");
    assert_eq!(plugin.room(), (40, 100));
    plugin.set(45);
    assert_eq!(grandchild.room(), (5, 100));
    assert_eq!(grandchild.passed(), None);
    grandchild.set(40);
    assert_eq!(grandchild.passed(), Some(100));
    assert_eq!((grandchild.room(), plugin.room()), ((0, 100), (0, 100)));
    child.set(0);
    assert_eq!((plugin.sum(), grandchild.passed()), (85, None));
    assert!(Arc::ptr_eq(&plugin.handles(), &grandchild.handles()));
}

#[test]
fn plugins_of_the_first_script_stand_apart() {
    let first = Account::first(100);
    let plugin = first.child(100);
    let child = plugin.child(100);
    plugin.set(90);
    child.set(10);
    assert_eq!((first.sum(), plugin.sum()), (0, 100));
    assert_eq!((first.room(), child.room()), ((100, 100), (0, 100)));
    assert!(!Arc::ptr_eq(&first.handles(), &plugin.handles()));
}

#[tokio::test]
async fn so_many_turns_may_hang_until_they_keep_their_places() {
    let plugin = Account::new(100);
    let (child, grandchild) = (plugin.child(100), plugin.child(100).child(100));
    let mut held = Vec::new();
    for number in 0..PLACES + HANGING_MAX {
        let account = if number % 2 == 0 { &child } else { &grandchild };
        let place = account.place().now_or_never();
        let mut place = place.unwrap_or_else(|| panic!("{number} waits"));
        assert!(place.pass_on().now_or_never().is_none());
        held.push(place);
    }
    assert!(child.place().now_or_never().is_none());
    assert!(plugin.place().now_or_never().is_some(), "it needs none");
    // One comes back.
    drop(held.remove(0));
    let mut last = held.pop().unwrap();
    assert!(last.pass_on().now_or_never().is_none());
    assert!(child.place().now_or_never().is_some());
}

#[test]
fn nothing_is_shown_twice() {
    let plugin = Account::new(100);
    let (child, other) = (plugin.child(100), plugin.child(100));
    plugin.set(1);
    child.set(2);
    other.set(4);
    let shown = |accounts: &[&Arc<Account>]| Account::shown(accounts.iter().copied());
    assert_eq!(shown(&[]), 0);
    assert_eq!(shown(&[&plugin]), 7);
    assert_eq!(shown(&[&child, &other]), 6);
    assert_eq!(shown(&[&plugin, &child]), 7, "a file that runs itself");
    let apart = Account::new(100);
    apart.set(8);
    assert_eq!(shown(&[&apart, &child]), 10);
}

#[test]
fn a_state_gives_up_what_it_does_not_use_before_it_is_too_large() {
    let limit = 24 * 1_048_576;
    let account = Account::new(limit);
    let (one, two) = (Lua::new(), Lua::new());
    let sibling = Charge::new(&account.child(usize::MAX), &one).unwrap();
    let charge = Charge::new(&account.child(usize::MAX), &two).unwrap();
    // Both turns begin while there is much.
    assert_eq!((sibling.begin(&one), charge.begin(&two)), (None, None));
    let take = "kept = ('x'):rep(8e6)";
    let waste = "local garbage = ('x'):rep(8e6)";
    one.load(take).exec().unwrap();
    assert_eq!(sibling.settle(&one), None);
    two.load(waste).exec().unwrap();
    assert_eq!(charge.settle(&two), None, "what it does not use is gone");
    assert_eq!(charge.begin(&two), None);
    let error = two.load(take).exec().unwrap_err();
    assert!(matches!(error, mlua::Error::MemoryError(_)), "{error}");
    assert_eq!(charge.nearest(), limit);
    two.gc_collect().unwrap();
    two.set_memory_limit(0).unwrap();
    two.load(take).exec().unwrap();
    assert_eq!(charge.settle(&two), Some(limit));
    assert_eq!(
        charge.begin(&two),
        Some(limit),
        "no turn begins with nothing"
    );
    drop(charge);
    assert_eq!(
        sibling.settle(&one),
        None,
        "a state that is gone takes nothing"
    );
    drop(sibling);
    assert_eq!(account.sum(), 0);
}
