//! What happens to the chosen request of a run.

use std::fmt;
use std::time::Duration;

use testbed::message::Response;

use crate::gate::Host;

/// Longer than keyturn waits for GitLab (8 s) and for an attempt of a call of AWS (6 s).
const LONG: Duration = Duration::from_secs(10);
/// Longer than it waits for `CreateAccessKey`, which has no second attempt (15 s).
const LONGER: Duration = Duration::from_secs(16);

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL; the request is never carried out.
    KillBefore,
    /// The request is carried out, then SIGKILL: the answer is never read.
    KillAfter,
    /// SIGKILL; the request is carried out after the next run.
    KillLate,
    /// The request is carried out, then SIGKILL; and the same befalls the next run, at another of its requests.
    KillTwice,
    /// The request is carried out, and the connection closed without an answer.
    AnswerLost,
    /// The connection is reset, and nothing carried out.
    Reset,
    /// 500, and nothing carried out.
    InternalError,
    /// Too many requests, and nothing carried out: 429 of GitLab, with `Retry-After` on every second request; the
    /// 400 `Throttling` that IAM and STS give.
    Throttled,
    /// 200 with a body that is no text; nothing was carried out.
    Garbage,
    /// The same, after the request was carried out.
    GarbageAfter,
    /// The request is carried out, and answered with 500: an error that is no refusal.
    ErrorAfter,
    /// SIGTERM; the request is carried out and answered.
    Terminate,
    /// The request is carried out, and answered later than anybody waits.
    Stall,
    /// The request is carried out after a whole second run, and answered.
    Overtaken,
    /// The same, later than anybody waits.
    OvertakenLate,
    /// None: two runs begin at the same time.
    Together,
}

impl Fault {
    /// Those that take no waiting, at every request.
    pub(crate) const QUICK: [Fault; 10] = [
        Fault::KillBefore,
        Fault::KillAfter,
        Fault::KillTwice,
        Fault::AnswerLost,
        Fault::Reset,
        Fault::InternalError,
        Fault::Throttled,
        Fault::Garbage,
        Fault::Terminate,
        Fault::Overtaken,
    ];
    /// Those that differ from others only where something is changed.
    pub(crate) const OF_WRITES: [Fault; 3] = [Fault::KillLate, Fault::GarbageAfter, Fault::ErrorAfter];
    /// Those that make a run wait for its own limits.
    pub(crate) const SLOW: [Fault; 2] = [Fault::Stall, Fault::OvertakenLate];

    /// Whether it mostly waits.
    pub(crate) fn is_slow(self) -> bool {
        Fault::SLOW.contains(&self)
    }

    /// Whether a second run goes on beside the first.
    pub(crate) fn has_second_run(self) -> bool {
        matches!(self, Fault::Overtaken | Fault::OvertakenLate | Fault::Together)
    }

    /// Whether the process ends by it.
    pub(crate) fn kills(self) -> bool {
        matches!(
            self,
            Fault::KillBefore | Fault::KillAfter | Fault::KillLate | Fault::KillTwice
        )
    }

    /// How long a slow fault holds this request up.
    pub(crate) fn holds(action: &str) -> Duration {
        if action.contains("CreateAccessKey") {
            LONGER
        } else {
            LONG
        }
    }

    /// The answer that is given instead of the right one.
    pub(crate) fn answer(self, host: Host, number: usize) -> Vec<u8> {
        let xml = |kind: &str, code: &str, text: &str| {
            format!(
                "<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{text}</Message></Error>\
                 <RequestId>7a62c49f-347e-4fc4-9331-6e8eEXAMPLE</RequestId></ErrorResponse>"
            )
        };
        let (text_xml, json) = (("content-type", "text/xml"), ("content-type", "application/json"));
        match (self, host) {
            (Fault::InternalError | Fault::ErrorAfter, Host::Aws) => {
                let body = xml("Receiver", "ServiceFailure", "The request failed.");
                Response::made(500, &[text_xml], body.as_bytes())
            }
            (Fault::InternalError | Fault::ErrorAfter, Host::GitLab) => {
                Response::made(500, &[json], br#"{"message":"500 Internal Server Error"}"#)
            }
            (Fault::Throttled, Host::Aws) => {
                let body = xml("Sender", "Throttling", "Rate exceeded");
                Response::made(400, &[text_xml], body.as_bytes())
            }
            (Fault::Throttled, Host::GitLab) if number.is_multiple_of(2) => {
                let plain = ("content-type", "text/plain");
                Response::made(429, &[plain, ("retry-after", "1")], b"Retry later\n")
            }
            (Fault::Throttled, Host::GitLab) => Response::made(
                429,
                &[json],
                br#"{"message":{"error":"This endpoint has been requested too many times. Try again later."}}"#,
            ),
            (_, Host::Aws) => Response::made(200, &[text_xml], GARBAGE),
            (_, Host::GitLab) => Response::made(200, &[json], GARBAGE),
        }
    }
}

const GARBAGE: &[u8] = &[0xff, 0xfe, 0x00, 0x7b, 0xc3, 0x28];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
