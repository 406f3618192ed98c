//! `human`: times as people say them.

use super::{Module, whole};
use crate::lua::go::human;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("time", |_, context, arguments| {
        let then = whole(arguments.number(1)?);
        let now = context.services.store.clock().wall().seconds();
        Ok(human::time(then, i64::try_from(now).unwrap_or(i64::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::collect::Root;
    use crate::lua::testing::Stage;
    use crate::model::Clock;

    #[test]
    fn zalua_57_times_are_said_in_the_largest_unit() {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(2_000_000_000));
        let now = clock.wall().seconds();
        let stage = Stage::with(clock, Root::machine());
        let day = 86_400;
        let mut source = format!("local now = {now}\n");
        for (seconds, past, future) in [
            (0, "now", "now"),
            (1, "1 second ago", "1 second from now"),
            (2, "2 seconds ago", "2 seconds from now"),
            (59, "59 seconds ago", "59 seconds from now"),
            (60, "1 minute ago", "1 minute from now"),
            (120, "2 minutes ago", "2 minutes from now"),
            (3599, "59 minutes ago", "59 minutes from now"),
            (3600, "1 hour ago", "1 hour from now"),
            (7200, "2 hours ago", "2 hours from now"),
            (day, "1 day ago", "1 day from now"),
            (2 * day, "2 days ago", "2 days from now"),
            (7 * day, "1 week ago", "1 week from now"),
            (14 * day, "2 weeks ago", "2 weeks from now"),
            (30 * day, "1 month ago", "1 month from now"),
            (60 * day, "2 months ago", "2 months from now"),
            (360 * day, "1 year ago", "1 year from now"),
            (540 * day, "2 years ago", "2 years from now"),
            (720 * day, "2 years ago", "2 years from now"),
            (1080 * day, "3 years ago", "3 years from now"),
            (37 * 360 * day, "a long while ago", "a long while from now"),
        ] {
            let line = format!(
                "assert(human.time(now - {seconds}) == '{past}', human.time(now - {seconds}))
                 assert(human.time(now + {seconds}) == '{future}', human.time(now + {seconds}))\n"
            );
            source.push_str(&line);
        }
        stage.pass(source + "assert(not pcall(human.time, '1'))");
    }
}
