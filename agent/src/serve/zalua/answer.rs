//! From a request to its reply.

use super::super::control::readings::Times;
use super::codec::{COMMAND_ERROR, PONG, Request, UNKNOWN_COMMAND, UNKNOWN_METRIC};
use super::format;
use crate::model::{Glob, Series};
use crate::store::Store;
use crate::telemetry::StatusBoard;

/// The reply to a request. One that asks for more than store and board, which is to end the service
/// or which one it is, is for who holds the door; here it is a command error.
pub(crate) fn answer(store: &Store, board: &StatusBoard, request: &Request<'_>) -> String {
    match request {
        Request::Ping => PONG.to_owned(),
        Request::ServerId | Request::Kill | Request::NoKey => COMMAND_ERROR.to_owned(),
        Request::Metrics => metrics(store),
        Request::Plugins => format::plugins(&board.statuses()),
        Request::Get(name, tags) => value(store, name, tags),
        Request::Unknown => UNKNOWN_COMMAND.to_owned(),
    }
}

fn metrics(store: &Store) -> String {
    let readings = store.scan(&Glob::new("*"));
    let times = Times::now(store.clock());
    let lines = readings.iter();
    format::join(
        lines
            .map(|reading| format::metric_line(reading, times))
            .collect(),
    )
}

/// The value of exactly these tags: a name alone is not the same series with any tags.
fn value(store: &Store, name: &str, tags: &[(&str, &str)]) -> String {
    let series = Series::new(name, tags).ok();
    let reading = series.and_then(|series| store.get(series.as_str()));
    reading.map_or_else(
        || UNKNOWN_METRIC.to_owned(),
        |reading| format::value(&reading.value, reading.unit),
    )
}
