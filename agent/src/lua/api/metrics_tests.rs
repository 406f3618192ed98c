//! Lines 25 to 38 of ZaLua's checklist, in the real host.

use std::sync::Arc;
use std::time::Duration;

use crate::collect::Root;
use crate::lua::testing::Stage;
use crate::model::clock::ManualClock;
use crate::model::{Clock, Kind, Series, Unit};

/// A stage whose clock is turned by hand.
fn stage() -> (Stage, Arc<ManualClock>) {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1_541_000_000));
    (Stage::with(clock, Root::machine()), hand)
}

#[test]
fn zalua_25_numbers_have_two_decimals_or_six() {
    let (stage, _) = stage();
    stage.pass(
        "for number, text in pairs({
           [0] = '0.000000', [0.005] = '0.005000', [0.0099999] = '0.010000', [0.01] = '0.01',
           [-0.009] = '-0.009000', [1] = '1.00', [2.675] = '2.67', [1234567.891] = '1234567.89',
           [math.huge] = '+Inf', [-math.huge] = '-Inf',
         }) do
           metrics.set('x', number)
           assert(metrics.get('x') == text, metrics.get('x'))
         end
         metrics.set('x', 0 / 0)
         assert(metrics.get('x') == 'NaN')",
    );
}

#[test]
fn zalua_26_strings_are_kept_as_they_are() {
    let (stage, _) = stage();
    stage.pass(
        "for _, text in ipairs({'', ' 1.5 ', 'ok', 'unknown-metric', 'two\\nlines', '0'}) do
           metrics.set('x', text)
           assert(metrics.get('x') == text)
         end",
    );
}

#[test]
fn zalua_27_other_values_are_errors() {
    let (stage, _) = stage();
    stage.pass(
        "for _, set in ipairs({metrics.set, metrics.set_speed, metrics.set_counter_speed}) do
           for _, value in ipairs({false, {{}}, print, true}) do
             local ok, message = pcall(set, 'x', value)
             assert(not ok and message:find('argument #2 must be string or number$'), message)
           end
           local ok, message = pcall(set, 'x', nil)
           assert(not ok and message:find('argument #2 must be string or number$'), message)
           local ok, message = pcall(set, 'x')
           assert(not ok and message:find('bad argument #2 to %S+ %(value expected%)'), message)
         end",
    );
}

#[test]
fn zalua_28_a_key_is_a_string() {
    let (stage, _) = stage();
    stage.pass(
        "local ok, message = pcall(metrics.set, 1, 2)
         assert(message:find('bad argument #1 to set %(string expected, got number%)'), message)
         local ok, message = pcall(metrics.get, 1)
         assert(message:find('bad argument #1 to get %(string expected, got number%)'), message)
         assert(metric == metrics)",
    );
}

#[test]
fn zalua_29_values_hold_for_300_seconds_or_as_long_as_said() {
    let (stage, hand) = stage();
    stage.pass(
        "metrics.set('default', 1)
         metrics.set('ten', 1, 10)
         metrics.set('fraction', 1, 10.9)
         metrics.set('none', 1, 0)
         metrics.set('less', 1, -5)
         assert(metrics.get('none') == nil and metrics.get('less') == nil)
         assert(metrics.get('default') and metrics.get('ten') and metrics.get('fraction'))",
    );
    hand.advance(Duration::from_millis(9_999));
    stage.pass("assert(metrics.get('ten') and metrics.get('fraction') and #metrics.list() == 3)");
    hand.advance(Duration::from_millis(1));
    stage.pass("assert(not metrics.get('ten') and not metrics.get('fraction'))");
    hand.advance(Duration::from_millis(289_999));
    stage.pass("assert(metrics.get('default'))");
    hand.advance(Duration::from_millis(1));
    stage.pass("assert(metrics.get('default') == nil and #metrics.list() == 0)");
}

#[test]
fn zalua_30_time_to_live_and_tags_come_in_either_order() {
    let (stage, _) = stage();
    stage.pass(
        "local tags = {a = 'b'}
         metrics.set('one', 1, 10)
         metrics.set('two', 2, tags)
         metrics.set('three', 3, 10, tags)
         metrics.set('four', 4, tags, 10)
         metrics.set('five', 5, 10, nil)
         metrics.set('six', 6, {})
         assert(metrics.get('one') and metrics.get('two', tags) and metrics.get('three', tags))
         assert(metrics.get('four', tags) and metrics.get('five') and metrics.get('six'))
         assert(metrics.get('two') == nil)
         local function fails(text, ...)
           local ok, message = pcall(metrics.set, 'x', 1, ...)
           assert(not ok and message:find(text, 1, true), message)
         end
         fails('argument #4 must be table (ttl already geted)', 1, 2)
         fails('argument #4 must be int (tags already geted)', {}, {})
         fails('argument #3 unknown type: nil', nil)
         fails('argument #3 unknown type: string', '1')
         fails('argument #4 unknown type: number', 1, 'x')
         fails('argument #4 unknown type: table', {}, true)",
    );
}

#[test]
fn zalua_31_tags_are_strings_or_become_ones() {
    let (stage, _) = stage();
    stage.pass(
        "metrics.set('x', 1, {int = 1, float = 1.5, text = 'a=b c'})
         local _, tags = metrics.get('x', {int = '1', float = '1.5', text = 'a=b c'})
         assert(tags.int == '1' and tags.float == '1.5' and tags.text == 'a=b c')
         for _, wrong in ipairs({{a = true}, {'a'}, {a = {}}, {[1.5] = 'x'}}) do
           local ok, message = pcall(metrics.set, 'x', 1, wrong)
           assert(message:find(\"argument #3 to table: can't convert map\", 1, true), message)
           local ok, message = pcall(metrics.set, 'x', 1, 10, wrong)
           assert(message:find(\"argument #4 to table: can't convert map\", 1, true), message)
           local ok, message = pcall(metrics.get, 'x', wrong)
           assert(message:find('argument #2 must be table string:string', 1, true), message)
         end",
    );
}

#[test]
fn zalua_32_a_speed_takes_two_samples_and_may_be_negative() {
    let (stage, hand) = stage();
    stage.pass("metrics.set_speed('x', 100) assert(metrics.get('x') == nil)");
    hand.advance(Duration::from_secs(4));
    stage.pass("metrics.set_speed('x', '90') assert(metrics.get('x') == '-2.50')");
    hand.advance(Duration::from_secs(10));
    stage.pass("metrics.set_speed('x', 90.05) assert(metrics.get('x') == '0.0050')");
}

#[test]
fn zalua_33_a_counter_that_went_down_begins_anew() {
    let (stage, hand) = stage();
    let second = || hand.advance(Duration::from_secs(1));
    stage.pass("metrics.set_counter_speed('x', 100)");
    second();
    stage.pass("metrics.set_counter_speed('x', 40) assert(metrics.get('x') == nil)");
    second();
    stage.pass("metrics.set_counter_speed('x', 43) assert(metrics.get('x') == '3.00')");
    second();
    stage.pass("metrics.set_counter_speed('x', 43) assert(metrics.get('x') == '0.0000')");
}

#[test]
fn zalua_34_a_sample_that_is_no_number_counts_as_0() {
    let (stage, hand) = stage();
    stage.pass("metrics.set_speed('x', 10)");
    hand.advance(Duration::from_secs(2));
    stage.pass("metrics.set_speed('x', '10\\n') assert(metrics.get('x') == '-5.00')");
}

#[test]
fn zalua_35_samples_are_kept_by_tags_and_shared_by_plugins() {
    let (stage, hand) = stage();
    let wait = |name, source| stage.wait(&stage.start(name, source)).unwrap();
    wait(
        "one.lua",
        "metrics.set_speed('x', 0) metrics.set_speed('x', 0, {a = 1}) metrics.set_speed('x', 0, {a = 2})",
    );
    hand.advance(Duration::from_secs(1));
    wait(
        "two.lua",
        "metrics.set_speed('x', 1)
         metrics.set_speed('x', 2, {a = 1})
         metrics.set_speed('x', 3, {a = '2'})
         assert(metrics.get('x') == '1.00')
         assert(metrics.get('x', {a = 1}) == '2.00')
         assert(metrics.get('x', {a = 2}) == '3.00')",
    );
}

#[test]
fn zalua_36_get_gives_value_and_tags_or_nothing_twice() {
    let (stage, _) = stage();
    stage.pass(
        "metrics.set('x', 'v', {a = 'b'})
         local value, tags = metrics.get('x', {a = 'b'})
         assert(value == 'v' and tags.a == 'b')
         metrics.set('y', 1)
         local value, tags = metrics.get('y')
         assert(value == '1.00' and next(tags) == nil)
         assert(select('#', metrics.get('x')) == 2)
         local value, tags = metrics.get('x')
         assert(value == nil and tags == nil)
         local ok, message = pcall(metrics.get, 'x', nil)
         assert(message:find('bad argument #2 to get %(table expected, got nil%)'), message)",
    );
}

#[test]
fn zalua_37_a_list_has_metric_value_tags_and_time() {
    let (stage, _) = stage();
    stage.pass(
        "metrics.set('b', 'words')
         metrics.set('a', 2, {k = 'v'})
         local list = metrics.list()
         assert(#list == 2)
         assert(list[1].metric == 'a' and list[1].value == '2.00' and list[1].tags.k == 'v')
         assert(list[2].metric == 'b' and list[2].value == 'words' and next(list[2].tags) == nil)
         assert(list[1].at == time.unix() and list[1].at > 0)",
    );
}

#[test]
fn zalua_38_delete_takes_out_what_plugins_have_put() {
    let (stage, _) = stage();
    let native = Series::new("system.load", &[]).unwrap();
    let store = &stage.store;
    store.put_one("collector", &native, Kind::Gauge, Unit::NONE, 1.0, None);
    stage.pass(
        "metrics.set('x', 1)
         metrics.set('x', 2, {a = 'b'})
         assert(select('#', metrics.delete('x')) == 0)
         assert(metrics.get('x') == nil and metrics.get('x', {a = 'b'}))
         metrics.delete('x', {a = 'b'})
         assert(metrics.get('x', {a = 'b'}) == nil)
         metrics.delete('absent')
         metrics.delete('system.load')
         assert(metrics.get('system.load') == '1.00', 'not what a plugin has put')
         assert(not pcall(metrics.delete, 1))",
    );
}

/// A text that was cut is another text, and a discovery document that was cut is none.
#[test]
fn a_text_longer_than_the_store_keeps_is_an_error() {
    let (stage, _) = stage();
    assert_eq!(stage.store.limits().text_bytes, 65536);
    stage.pass(
        "metrics.set('x', ('a'):rep(65536), {of = 'mail'})
         for _, set in ipairs({metrics.set, metric.set}) do
           local ok, message = pcall(set, 'x', ('b'):rep(65537), {of = 'mail'})
           assert(not ok and message:find('x{of=\"mail\"}: a text of 65537 bytes is longer than the'
             .. ' store keeps, which is 65536 bytes: text_max in the section [store]', 1, true), message)
         end
         assert(metrics.get('x', {of = 'mail'}) == ('a'):rep(65536))
         -- What is not UTF-8 takes more than it seems, and what is put counts.
         assert(not pcall(metrics.set, 'y', ('\\255'):rep(30000)) and metrics.get('y') == nil)",
    );
    assert_eq!(stage.store.status().cut, 0);
}
