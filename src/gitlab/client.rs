//! The connection to GitLab: one client, its retries, and its clock.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Url, redirect};

use super::answer::Answer;
use super::cause::{Cause, Doing};
use super::{Access, VariableOwner};
use super::{refusals, transport};
use crate::clock::{Deadline, ServerClock};
use crate::failure::{Class, Failure};
use crate::reason::Reason;
use crate::roots::Roots;

const ATTEMPTS: u32 = 3;
/// With this, a network without a way to GitLab is told within 10 s, all attempts counted; one lost packet is survived.
const CONNECT: Duration = Duration::from_millis(2500);
/// An attempt that has no whole answer by then is given up.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// Idle connections are dropped before any server in front of GitLab does, so that a request that may be sent only once
/// does not die on a connection that was closed meanwhile.
const IDLE: Duration = Duration::from_secs(5);
/// The longest `Retry-After` that is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A hundred variables, each well above GitLab's documented 10,000 characters, fit.
const LARGEST_BODY: usize = 32 << 20;

/// A GitLab instance, seen with one token. Clones share connections and clock.
#[derive(Clone, Debug)]
pub struct Gitlab {
    pub(super) http: Client,
    root: Url,
    clock: ServerClock,
    deadline: Option<Deadline>,
}

/// What became of one request.
enum Sent {
    Answered(Answer),
    /// The connection was never made: GitLab knows nothing of it.
    Never(Cause),
    /// It left, and no whole answer came.
    Lost(Cause),
}

/// What became of a write, after all attempts.
pub(super) enum Outcome {
    /// A success, yet to be compared with what was sent.
    Answered(Answer),
    /// No attempt took effect.
    Refused(Cause),
    /// One may have.
    Unclear(Cause),
}

impl Gitlab {
    /// Prepares the connection; nothing is sent yet. The process-wide TLS provider must be installed.
    ///
    /// Redirects are not followed: GitLab answers them for moved projects only, and the token belongs to one address.
    pub fn open(access: &Access) -> Result<Gitlab, Failure> {
        let mut token = HeaderValue::from_str(access.token.expose()).map_err(|_| {
            Failure::settings(
                Reason::TokenMalformed,
                "GitLab was not asked: the token holds characters that can't be sent",
                "Check GITLAB_TOKEN for line ends and other characters that are not the token's.",
            )
        })?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("private-token", token);
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Failure::of(
                Reason::NoTlsProvider,
                "GitLab was not asked: no TLS provider is installed",
            ));
        }
        let mut builder = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("keyturn/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(ANSWERED_WITHIN)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1);
        if let Some(roots) = &access.roots {
            builder = builder.tls_certs_merge(authorities(roots)?);
        }
        let http = builder.build().map_err(|_| {
            Failure::settings(
                Reason::Tls,
                "GitLab was not asked: TLS can't be set up",
                "The system may have no certificates of authorities; give them in KEYTURN_CA_FILE. Check the proxy \
                 settings as well.",
            )
        })?;
        Ok(Gitlab {
            http,
            root: access.api.clone(),
            clock: ServerClock::default(),
            deadline: None,
        })
    }

    /// Nothing is sent again that could be without an answer at this time. Whether it is sent at all is the planner's to
    /// say.
    pub fn until(self, deadline: Deadline) -> Gitlab {
        Gitlab {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Whether an attempt after this pause has the time for its answer and for what must follow it.
    fn has_time(&self, pause: Duration, following: Duration) -> bool {
        self.deadline
            .is_none_or(|deadline| deadline.left() >= pause + ANSWERED_WITHIN + following)
    }

    /// GitLab's time, by the `Date` header of every answer.
    pub fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// The address below the API root. Each segment is percent-encoded, so that the slash of a path stays within it.
    pub(super) fn url(&self, segments: &[&str]) -> Result<Url, Failure> {
        // A segment of dots would be dropped from the address, and another one would be asked.
        let harmless = segments
            .iter()
            .all(|segment| !matches!(*segment, "" | "." | ".."));
        let mut url = self.root.clone();
        match url.path_segments_mut() {
            Ok(mut path) if harmless => {
                path.pop_if_empty().extend(segments);
            }
            Ok(_) | Err(()) => {
                return Err(Failure::of(
                    Reason::NameMalformed,
                    "GitLab was not asked: the name of a group, project or variable is empty or made of dots",
                ));
            }
        }
        Ok(url)
    }

    /// Reads, and reads again after what may pass.
    pub(super) async fn get(&self, url: Url, doing: &Doing<'_>) -> Result<Answer, Failure> {
        let has_time = |pause: &Duration| self.has_time(*pause, Duration::ZERO);
        let mut attempt = 1;
        loop {
            let pause = match self.send(self.http.get(url.clone())).await {
                Sent::Answered(answer) => match pause_after(&answer, attempt).filter(has_time) {
                    Some(pause) => pause,
                    None => return Ok(answer),
                },
                Sent::Never(cause) | Sent::Lost(cause) => {
                    match pause_after_silence(&cause, attempt).filter(has_time) {
                        Some(pause) => pause,
                        None => return Err(cause.failed(doing)),
                    }
                }
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Writes. A repeatable request (a PUT of the same value: GitLab has no precondition and no version, so the second
    /// is as good as the first) is sent again after what may pass; any other only when the connection was never made.
    ///
    /// One attempt whose outcome is unknown makes the whole unknown, unless a later one succeeds. The last attempts leave
    /// the time in which the other half of a pair can be written: a pair that is torn when the run ends stays so until the
    /// next one.
    pub(super) async fn write(
        &self,
        request: impl Fn() -> RequestBuilder,
        repeatable: bool,
        owner: &VariableOwner,
    ) -> Outcome {
        let mut unknown: Option<Cause> = None;
        let mut attempt = 1;
        loop {
            let (cause, certain, pause) = match self.send(request()).await {
                Sent::Answered(answer) if (200..300).contains(&answer.status) => {
                    return Outcome::Answered(answer);
                }
                Sent::Answered(answer) => {
                    let pause = if repeatable {
                        pause_after(&answer, attempt)
                    } else {
                        None
                    };
                    (
                        refusals::of_answer(&answer, Some(owner)),
                        refusals::is_refusal(&answer),
                        pause,
                    )
                }
                Sent::Never(cause) => {
                    let pause = pause_after_silence(&cause, attempt);
                    (cause, true, pause)
                }
                Sent::Lost(cause) => {
                    let pause = if repeatable {
                        pause_after_silence(&cause, attempt)
                    } else {
                        None
                    };
                    (cause, false, pause)
                }
            };
            if let Some(pause) = pause.filter(|pause| self.has_time(*pause, ANSWERED_WITHIN)) {
                if !certain {
                    unknown = Some(cause);
                }
                tokio::time::sleep(pause).await;
                attempt += 1;
                continue;
            }
            return match (certain, unknown) {
                (true, None) => Outcome::Refused(cause),
                (true, Some(earlier)) => Outcome::Unclear(earlier.then(cause)),
                (false, _) => Outcome::Unclear(cause),
            };
        }
    }

    async fn send(&self, request: RequestBuilder) -> Sent {
        match self.exchange(request).await {
            Ok(Some(answer)) => Sent::Answered(answer),
            Ok(None) => Sent::Lost(Cause::incomplete(
                Reason::GitlabError,
                "GitLab's answer is larger than any should be",
            )),
            Err(error) => {
                let silence = transport::silence(&error.without_url());
                if silence.never_sent {
                    Sent::Never(silence.cause)
                } else {
                    Sent::Lost(silence.cause)
                }
            }
        }
    }

    /// `None`: the body is too large.
    async fn exchange(&self, request: RequestBuilder) -> Result<Option<Answer>, reqwest::Error> {
        let mut response = request.send().await?;
        let headers = response.headers();
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::trim)
        };
        if let Some(date) = text(DATE.as_str()) {
            self.clock.note(date);
        }
        let mut answer = Answer {
            status: response.status().as_u16(),
            html: text(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("text/html")),
            next_page: text("x-next-page").map(str::to_owned),
            total: text("x-total").and_then(|total| total.parse().ok()),
            retry_after: text(RETRY_AFTER.as_str()).and_then(|text| self.wait(text)),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await? {
            if answer.body.len().saturating_add(chunk.len()) > LARGEST_BODY {
                return Ok(None);
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(Some(answer))
    }

    /// `Retry-After` is a number of seconds (GitLab's throttle) or a date (proxies), by the server's own clock.
    fn wait(&self, text: &str) -> Option<Duration> {
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = planner::Timestamp(rfc2822::parse(text).ok()?.timestamp().as_second());
        Some(until.since(self.clock.now()?))
    }
}

/// How long to wait before the next attempt; `None` when this answer stands.
fn pause_after(answer: &Answer, attempt: u32) -> Option<Duration> {
    match (answer.status, answer.retry_after) {
        (429, Some(wait)) if wait > LONGEST_WAIT => None,
        (429, Some(wait)) => backoff(attempt).map(|pause| pause.max(wait)),
        (429 | 500 | 502 | 503 | 504, _) => backoff(attempt),
        _ => None,
    }
}

/// What a person must resolve, such as a certificate, does not pass by waiting.
fn pause_after_silence(cause: &Cause, attempt: u32) -> Option<Duration> {
    if cause.class == Class::Incomplete {
        backoff(attempt)
    } else {
        None
    }
}

fn backoff(attempt: u32) -> Option<Duration> {
    (attempt < ATTEMPTS).then(|| Duration::from_millis(500).saturating_mul(attempt))
}

/// Refuses what could not be trusted anyway before a connection fails for it.
fn authorities(roots: &Roots) -> Result<Vec<Certificate>, Failure> {
    let refuse = || {
        Failure::of(
            Reason::CaFileMalformed,
            "GitLab was not asked: a certificate in the file of authorities can't be read",
        )
    };
    roots.check().map_err(|_| refuse())?;
    let certificates = roots.certificates().iter();
    certificates
        .map(|der| Certificate::from_der(der).map_err(|_| refuse()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Gitlab, authorities, pause_after};
    use crate::gitlab::answer::Answer;
    use crate::gitlab::{Access, VariableOwner};
    use crate::roots::Roots;
    use crate::secret::Secret;
    use std::time::Duration;

    fn open(api: &str) -> Gitlab {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let access = Access {
            api: api.parse().unwrap(),
            token: Secret::new("t"),
            roots: None,
        };
        Gitlab::open(&access).unwrap()
    }

    #[test]
    fn paths_stay_in_their_segment() {
        let gitlab = open("https://gitlab.example.com/root/api/v4/");
        let [kind, name] = VariableOwner::Group("a/b c".into()).segments().map(str::to_owned);
        assert_eq!(
            gitlab.url(&[&kind, &name, "variables"]).unwrap().as_str(),
            "https://gitlab.example.com/root/api/v4/groups/a%2Fb%20c/variables"
        );
        assert!(gitlab.url(&["groups", "..", "variables"]).is_err());
        assert!(gitlab.url(&["groups", "", "variables"]).is_err());
    }

    #[test]
    fn an_authority_must_be_a_certificate() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let roots = Roots::parse(pem.into()).unwrap();
        assert_eq!(
            authorities(&roots).unwrap_err().reason.word(),
            "ca_file_malformed"
        );
    }

    #[test]
    fn waits_are_bounded() {
        let answer = |status, wait: Option<u64>| Answer {
            status,
            html: false,
            next_page: None,
            total: None,
            retry_after: wait.map(Duration::from_secs),
            body: Vec::new(),
        };
        assert_eq!(pause_after(&answer(429, Some(31)), 1), None);
        assert_eq!(
            pause_after(&answer(429, Some(30)), 1),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            pause_after(&answer(429, Some(0)), 2),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            pause_after(&answer(429, None), 1),
            Some(Duration::from_millis(500))
        );
        assert_eq!(pause_after(&answer(502, None), 3), None);
        assert_eq!(pause_after(&answer(403, None), 1), None);
    }
}
