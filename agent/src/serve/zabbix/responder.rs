//! From the bytes of a request to the bytes of its reply, without a socket.
//!
//! All buffers are kept between requests, so that a common request allocates nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::answer::{Answer, NotSupported, Refusal};
use super::counters::Counters;
use super::header::{self, HeaderError};
use super::item_key::ItemKey;
use super::request::{self, Form};

/// A buffer that grew beyond this for one large answer is given back.
const KEPT_CAPACITY: usize = 256 * 1024;

/// What became of the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The request is not complete.
    NeedsMore,
    /// The reply stands in [`Responder::reply`].
    Replied,
    /// The key needs a worker.
    Slow {
        /// The form in which the reply is awaited.
        form: Form,
        /// The item key, unparsed.
        key: String,
    },
    /// Not a request: close without a reply.
    Malformed(HeaderError),
}

/// Turns requests into replies.
pub(super) struct Responder {
    answer: Arc<dyn Answer>,
    counters: Arc<Counters>,
    inflated: Vec<u8>,
    value: String,
    reply: Vec<u8>,
}

impl Responder {
    pub(super) fn new(answer: Arc<dyn Answer>, counters: Arc<Counters>) -> Self {
        let (inflated, value, reply) = Default::default();
        Self {
            answer,
            counters,
            inflated,
            value,
            reply,
        }
    }

    /// The last reply, a whole frame.
    pub(super) fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Handles everything received so far on one connection.
    pub(super) fn step(&mut self, input: &[u8]) -> Step {
        let body = match header::decode(input, &mut self.inflated) {
            Ok(Some(body)) => body,
            Ok(None) => return Step::NeedsMore,
            Err(error) => return Step::Malformed(error),
        };
        let request = request::parse(body);
        let form = request.form;
        self.value.clear();
        self.value.shrink_to(KEPT_CAPACITY);
        let outcome = match &request.key {
            Err(reason) => {
                let frame = self.begin();
                request::write_request_error(reason, &mut self.reply);
                header::finish(&mut self.reply, frame);
                self.counters.not_supported.add_one();
                return Step::Replied;
            }
            Ok(key) => ask(&*self.answer, &self.counters, key, &mut self.value),
        };
        match outcome {
            Ok(()) => self.write(form, None),
            Err(Refusal::NotSupported(reason)) => self.write(form, Some(&reason)),
            Err(Refusal::Slow) => {
                let key = request
                    .key
                    .map(std::borrow::Cow::into_owned)
                    .unwrap_or_default();
                return Step::Slow { form, key };
            }
        }
        Step::Replied
    }

    /// Writes the reply to a slow check.
    pub(super) fn finish_slow(&mut self, form: Form, result: Result<String, NotSupported>) {
        match result {
            Ok(value) => {
                self.value = value;
                self.write(form, None);
            }
            Err(reason) => self.write(form, Some(&reason)),
        }
    }

    fn write(&mut self, form: Form, failed: Option<&NotSupported>) {
        let frame = self.begin();
        let answer = match failed {
            None => {
                self.counters.answered.add_one();
                Ok(self.value.as_str())
            }
            Some(NotSupported(reason)) => {
                self.counters.not_supported.add_one();
                Err(reason.as_ref())
            }
        };
        request::write_answer(form, answer, &mut self.reply);
        header::finish(&mut self.reply, frame);
    }

    fn begin(&mut self) -> usize {
        self.reply.clear();
        self.reply.shrink_to(KEPT_CAPACITY);
        header::begin(&mut self.reply)
    }
}

/// Asks for a value; a panic on the way costs this one answer only.
fn ask(
    answer: &dyn Answer,
    counters: &Counters,
    text: &str,
    value: &mut String,
) -> Result<(), Refusal> {
    let asked = catch_unwind(AssertUnwindSafe(|| match ItemKey::parse(text) {
        Ok(key) => answer.answer(&key, value),
        Err(_) if answer.answer_verbatim(text, value) => Ok(()),
        Err(error) => Err(NotSupported(error.to_string().into()).into()),
    }));
    asked.unwrap_or_else(|_| {
        counters.panics.add_one();
        Err(NotSupported::because("Internal error.").into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Answer for Fixed {
        fn answer(&self, key: &ItemKey<'_>, out: &mut String) -> Result<(), Refusal> {
            match key.name {
                "agent.ping" => out.push('1'),
                "half.panic" => {
                    out.push_str("half");
                    panic!("a bug in an item");
                }
                "slow" => return Err(Refusal::Slow),
                _ => return Err(NotSupported::UNKNOWN_KEY.into()),
            }
            Ok(())
        }

        fn answer_verbatim(&self, text: &str, out: &mut String) -> bool {
            out.push_str("verbatim");
            text == "with spaces"
        }
    }

    fn reply(request: &[u8]) -> (Step, String) {
        let mut responder = Responder::new(Arc::new(Fixed), Arc::default());
        let mut frame = Vec::new();
        header::encode(request, &mut frame);
        let step = responder.step(&frame);
        let body = responder
            .reply()
            .get(header::HEADER_LEN..)
            .unwrap_or_default();
        (step, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn every_request_gets_its_reply() {
        for (request, want) in [
            ("agent.ping\n", "1"),
            ("with spaces", "verbatim"),
            ("half.panic", "ZBX_NOTSUPPORTED\0Internal error."),
            ("nosuch", "ZBX_NOTSUPPORTED\0Unsupported item key."),
            ("a b", "ZBX_NOTSUPPORTED\0Invalid item key format."),
        ] {
            assert_eq!(
                reply(request.as_bytes()),
                (Step::Replied, want.to_owned()),
                "{request}"
            );
        }
        assert_eq!(
            reply(b"slow[1]").0,
            Step::Slow {
                form: Form::Plain,
                key: "slow[1]".into()
            }
        );
        assert_eq!(
            reply(br#"{"request":"passive checks","data":[{"key":"agent.ping","timeout":3}]}"#).1,
            r#"{"version":"7.0.0","variant":1,"data":[{"value":"1"}]}"#
        );
    }
}
