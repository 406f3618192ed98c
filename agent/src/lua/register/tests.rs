use super::*;
use crate::model::Clock;
use crate::store::StoreLimits;

#[test]
fn a_page_and_its_series_go_with_the_last_who_holds_it() {
    let board = StatusBoard::new();
    let store = Store::new(Clock::System, StoreLimits::default());
    let register = Register::new(board.clone(), store.clone());
    let page = register.page("cpu");
    let same = register.page("cpu");
    register.publish();
    assert_eq!(store.status().series, NAMES.len());
    drop(page);
    assert_eq!(board.statuses().len(), 1);
    drop(same);
    assert_eq!(board.statuses().len(), 0);
    assert_eq!(store.status().series, 0);
    register.publish();
    assert_eq!(store.status().series, 0);
}
