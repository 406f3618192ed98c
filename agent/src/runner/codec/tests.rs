use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = OsString> {
    vec(1_u8..=255, 0..20).prop_map(OsString::from_vec)
}

fn request() -> impl Strategy<Value = Request> {
    let program = vec(1_u8..=255, 1..20).prop_map(OsString::from_vec);
    let command = prop_oneof![
        word().prop_map(Command::Shell),
        (program, vec(word(), 0..5)).prop_map(|(program, mut words)| {
            words.insert(0, program);
            Command::Program(words)
        }),
    ];
    let stdin = proptest::option::of(vec(any::<u8>(), 0..50));
    (command, 1_u64..=300_000, stdin).prop_map(|(command, milliseconds, stdin)| Request {
        command,
        timeout: Duration::from_millis(milliseconds),
        stdin,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let ending = prop_oneof![
        any::<i32>().prop_map(Ending::Exited),
        (any::<i32>(), any::<bool>()).prop_map(|(signal, core_dumped)| Ending::Signalled {
            signal,
            core_dumped
        }),
        any::<u32>().prop_map(|time| Ending::TimedOut(Duration::from_millis(u64::from(time)))),
        any::<String>().prop_map(Ending::Refused),
        any::<String>().prop_map(Ending::NotStarted),
    ];
    let output = || {
        (vec(any::<u8>(), 0..50), any::<u32>()).prop_map(|(bytes, more)| Output {
            total: bytes.len() as u64 + u64::from(more),
            bytes,
        })
    };
    (ending, output(), output(), any::<u64>()).prop_map(|(ending, stdout, stderr, time)| Outcome {
        ending,
        stdout,
        stderr,
        duration: Duration::from_micros(time),
    })
}

proptest! {
    #[test]
    fn requests_read_back(request in request()) {
        let content = request.encode().unwrap();
        prop_assert_eq!(Request::decode(&content), Ok(request));
        for end in 0..content.len() {
            prop_assert_eq!(Request::decode(&content[..end]), Err(RequestError::Malformed));
        }
    }

    #[test]
    fn replies_read_back(outcome in outcome()) {
        let content = outcome.encode();
        prop_assert_eq!(Outcome::decode(&content), Ok(outcome));
        for end in 0..content.len() {
            prop_assert_eq!(Outcome::decode(&content[..end]), Err(ReplyError));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_written_back(mut bytes in vec(any::<u8>(), 0..80), known: bool) {
        if known && bytes.len() > 1 {
            bytes[0] = VERSION;
            bytes[1] %= 5;
        }
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), Ok(bytes.clone()));
        }
        if let Ok(outcome) = Outcome::decode(&bytes) {
            prop_assert_eq!(outcome.encode(), bytes);
        }
    }
}

#[test]
fn what_is_no_request_says_why() {
    let second = Duration::from_secs(1);
    for (request, error) in [
        (Request::program::<OsString>([]), RequestError::NoProgram),
        (Request::program([""]), RequestError::NoProgram),
        (Request::shell("a\0b"), RequestError::Nul),
        (Request::program(["a", "\0"]), RequestError::Nul),
        (
            Request::shell("a").with_timeout(Duration::ZERO),
            RequestError::Timeout,
        ),
        (
            Request::shell("a").with_timeout(Request::TIMEOUT_MAX + second),
            RequestError::Timeout,
        ),
        (
            Request::shell("a".repeat(REQUEST_MAX)),
            RequestError::TooLong,
        ),
        (
            Request::shell("a").with_stdin(vec![0; REQUEST_MAX - 4]),
            RequestError::TooLong,
        ),
    ] {
        assert_eq!(request.encode(), Err(error));
    }
    let long = vec![1; REQUEST_MAX + 1];
    assert_eq!(Request::decode(&long), Err(RequestError::TooLong));
    let mut zero = Request::shell("a").encode().unwrap();
    zero[2..6].fill(0);
    assert_eq!(Request::decode(&zero), Err(RequestError::Timeout));
    let mut many = Request::program(["a"]).encode().unwrap();
    many[6..10].fill(255);
    assert_eq!(Request::decode(&many), Err(RequestError::Malformed));
    let mut more = Request::shell("a").encode().unwrap();
    more.push(0);
    assert_eq!(Request::decode(&more), Err(RequestError::Malformed));
}

#[test]
fn a_fraction_of_a_millisecond_is_one_more() {
    let request = Request::shell("a").with_timeout(Duration::from_micros(1_500));
    let read = Request::decode(&request.encode().unwrap()).unwrap();
    assert_eq!(read.timeout, Duration::from_millis(2));
}

#[test]
fn the_largest_reply_is_within_its_bound() {
    let output = Output {
        bytes: vec![b'x'; Output::MAX + 1],
        total: u64::MAX,
    };
    let outcome = Outcome {
        ending: Ending::Refused("é".repeat(REASON_MAX)),
        stdout: output.clone(),
        stderr: output,
        duration: Duration::MAX,
    };
    let content = outcome.encode();
    assert!(content.len() <= REPLY_MAX);
    let read = Outcome::decode(&content).unwrap();
    assert_eq!(read.stdout.bytes.len(), Output::MAX);
    assert_eq!(read.ending, Ending::Refused("é".repeat(REASON_MAX / 2)));
}

#[test]
fn headers_are_bounded() {
    assert_eq!(length(header(REQUEST_MAX), REQUEST_MAX), Some(REQUEST_MAX));
    assert_eq!(length(header(REQUEST_MAX + 1), REQUEST_MAX), None);
    assert_eq!(length([255; 4], REPLY_MAX), None);
    assert_eq!(header(usize::MAX), [255; 4]);
}
