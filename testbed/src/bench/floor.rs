//! The floor: the requests that another program sent, sent again by a bare client in the same order. It keeps its
//! connections, asks together what was asked together, and does nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::{Deserialize, Serialize};

use super::wire::Exchange;
use crate::aws::Pair;
use crate::message::{Request, Response};

/// Stands for the key that is created on the way, and for its secret: as it is, and as a form has it.
const NEW_ID: &str = "{new-id}";
const NEW_SECRET: &str = "{new-secret}";
const NEW_SECRET_IN_FORM: &str = "{new-secret-in-form}";

/// What one program asked of whom, in which order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What can be asked at the same time, stage after stage.
    stages: Vec<Vec<Ask>>,
}

/// A plan with everything that it needs to be carried out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Errand {
    /// The authority of the remotes' certificates.
    pub authority: Option<PathBuf>,
    /// Who signs.
    pub signer: Pair,
    /// The key that is replaced: its secret is proved.
    pub old: Pair,
    /// Where the remotes are.
    pub remotes: Vec<SocketAddr>,
    /// What to ask them.
    pub plan: Plan,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ask {
    remote: usize,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    signature: Option<Signature>,
    status: u16,
}

/// Whose key signs a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum By {
    Signer,
    Old,
    New,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Signature {
    service: String,
    region: String,
    by: By,
}

impl Plan {
    /// The plan behind what was recorded on the wires of these remotes, where one of these keys replaced the other.
    ///
    /// A request comes one stage after the last of the requests whose answers had left before it; those of one stage are
    /// asked together.
    ///
    /// # Errors
    ///
    /// When a request can't be read.
    pub(super) fn of(recorded: &[Vec<Exchange>], old: &Pair, created: &Pair) -> Result<Plan> {
        let mut all: Vec<(usize, &Exchange)> = recorded
            .iter()
            .enumerate()
            .flat_map(|(remote, exchanges)| exchanges.iter().map(move |exchange| (remote, exchange)))
            .collect();
        all.sort_by_key(|(_, exchange)| exchange.asked);
        let mut stages: Vec<Vec<Ask>> = Vec::new();
        let mut depths: Vec<(usize, &Exchange)> = Vec::new();
        for (remote, exchange) in all {
            let before = depths
                .iter()
                .filter(|(_, earlier)| earlier.answered <= exchange.asked);
            let depth = before
                .map(|(depth, _)| depth.saturating_add(1))
                .max()
                .unwrap_or(0);
            depths.push((depth, exchange));
            if stages.len() <= depth {
                stages.resize(depth.saturating_add(1), Vec::new());
            }
            if let Some(stage) = stages.get_mut(depth) {
                stage.push(Ask::of(remote, exchange, old, created)?);
            }
        }
        Ok(Plan { stages })
    }

    /// How many answers have to be waited for one after the other.
    pub(super) fn chain(&self) -> usize {
        self.stages.len()
    }

    /// How many requests there are.
    pub(super) fn requests(&self) -> usize {
        self.stages.iter().map(Vec::len).sum()
    }

    /// The same for another world: one text instead of another, wherever it stands.
    pub(super) fn with(&self, texts: &[(&str, &str)]) -> Plan {
        let put = |text: &str| {
            texts
                .iter()
                .fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
        };
        let mut plan = self.clone();
        for ask in plan.stages.iter_mut().flatten() {
            ask.path = put(&ask.path);
            ask.body = put(&ask.body);
            for (_, value) in &mut ask.headers {
                *value = put(value);
            }
        }
        plan
    }

    /// Each request in a line, with a blank line between stages.
    pub(super) fn outline(&self) -> String {
        let stage = |stage: &Vec<Ask>| {
            let lines = stage.iter().map(Ask::outline);
            lines.collect::<Vec<_>>().join("\n")
        };
        self.stages.iter().map(stage).collect::<Vec<_>>().join("\n\n")
    }
}

impl Ask {
    fn of(remote: usize, exchange: &Exchange, old: &Pair, created: &Pair) -> Result<Ask> {
        let Request {
            method,
            path,
            headers,
            ..
        } = &exchange.request;
        let is_form = exchange
            .request
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let put = |text: &str| {
            let text = text.replace(&created.id, NEW_ID);
            if is_form {
                text.replace(&in_form(&created.secret), NEW_SECRET_IN_FORM)
            } else {
                text.replace(&created.secret, NEW_SECRET)
            }
        };
        // Made anew each time.
        let made = [
            "host",
            "content-length",
            "authorization",
            "x-amz-date",
            "x-amz-security-token",
        ];
        let kept = headers.iter().filter(|(name, _)| !made.contains(&name.as_str()));
        let authorization = exchange.request.header("authorization").unwrap_or_default();
        Ok(Ask {
            remote,
            method: method.clone(),
            path: put(path),
            headers: kept.map(|(name, value)| (name.clone(), put(value))).collect(),
            body: put(std::str::from_utf8(exchange.request.body())?),
            signature: Signature::of(authorization, &old.id, &created.id)?,
            status: exchange.response.status,
        })
    }

    fn outline(&self) -> String {
        let form = form_urlencoded::parse(self.body.as_bytes());
        let action = form.into_owned().find(|(name, _)| name == "Action");
        let target = self.headers.iter().find(|(name, _)| name == "x-amz-target");
        match (action, target) {
            (Some((_, action)), _) => format!("AWS {action}"),
            (None, Some((_, target))) => format!("AWS {target}"),
            (None, None) => format!("GitLab {} {}", self.method, self.path),
        }
    }
}

impl Signature {
    /// What `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …` says; `None` without one.
    fn of(authorization: &str, old: &str, new: &str) -> Result<Option<Signature>> {
        let Some((_, scope)) = authorization.split_once("Credential=") else {
            return Ok(None);
        };
        let scope: Vec<&str> = scope.split(',').next().unwrap_or_default().split('/').collect();
        let [key, _, region, service, _] = scope.as_slice() else {
            bail!("a signature without a scope")
        };
        Ok(Some(Signature {
            service: (*service).to_owned(),
            region: (*region).to_owned(),
            by: if *key == new {
                By::New
            } else if *key == old {
                By::Old
            } else {
                By::Signer
            },
        }))
    }
}

/// Carries out the errand in this file: what the program `floor` does.
///
/// # Errors
///
/// When an answer is another than the recorded one was.
pub fn run(errand: &Path) -> Result<()> {
    let errand: Errand = serde_json::from_slice(&std::fs::read(errand)?)?;
    let tls = match &errand.authority {
        None => None,
        Some(file) => Some(trusting(&std::fs::read(file)?)?),
    };
    let remotes: Vec<Remote> = errand
        .remotes
        .iter()
        .map(|address| Remote {
            address: *address,
            tls: tls.clone(),
            kept: Mutex::default(),
        })
        .collect();
    let new = OnceLock::new();
    for stage in &errand.plan.stages {
        let ask = |ask: &Ask| {
            let remote = remotes.get(ask.remote).context("an unknown remote")?;
            ask.send(remote, &errand, &new)
        };
        match stage.as_slice() {
            [alone] => ask(alone)?,
            together => std::thread::scope(|scope| {
                let asking: Vec<_> = together.iter().map(|it| scope.spawn(|| ask(it))).collect();
                asking
                    .into_iter()
                    .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
            })?,
        }
    }
    Ok(())
}

fn trusting(authority: &[u8]) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

struct Remote {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    /// Connections that nobody uses at the moment.
    kept: Mutex<Vec<Box<dyn Stream>>>,
}

impl Remote {
    fn ask(&self, request: &[u8]) -> Result<Response> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let free = kept().pop();
        let mut stream = match free {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(request)?;
        stream.flush()?;
        let response = Response::read(&mut stream)?;
        kept().push(stream);
        Ok(response)
    }

    fn connect(&self) -> Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::from(self.address.ip());
                Box::new(StreamOwned::new(
                    ClientConnection::new(Arc::clone(tls), name)?,
                    stream,
                ))
            }
        })
    }
}

impl Ask {
    fn send(&self, remote: &Remote, errand: &Errand, new: &OnceLock<Pair>) -> Result<()> {
        let put = |text: &str| match new.get() {
            None => text.to_owned(),
            Some(Pair { id, secret, .. }) => text
                .replace(NEW_ID, id)
                .replace(NEW_SECRET, secret)
                .replace(NEW_SECRET_IN_FORM, &in_form(secret)),
        };
        let (path, body) = (put(&self.path), put(&self.body));
        let mut headers = vec![("host".to_owned(), remote.address.to_string())];
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.clone(), put(value))),
        );
        if let Some(signature) = &self.signature {
            let by = match signature.by {
                By::New => new.get().context("nothing was created yet")?,
                By::Old => &errand.old,
                By::Signer => &errand.signer,
            };
            signature.sign(by, &self.method, &path, &body, &mut headers)?;
        }
        if !body.is_empty() || self.method != "GET" {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!("{} {path} HTTP/1.1\r\n{lines}\r\n{body}", self.method);
        let response = remote.ask(request.as_bytes())?;
        ensure!(
            response.status == self.status,
            "{}: {} instead of {}: {}",
            self.outline(),
            response.status,
            self.status,
            String::from_utf8_lossy(response.body())
        );
        if self.body.contains("Action=CreateAccessKey") {
            let answer = String::from_utf8_lossy(response.body()).into_owned();
            let created = Pair {
                id: element(&answer, "AccessKeyId").context("no id")?,
                secret: element(&answer, "SecretAccessKey").context("no secret")?,
                token: None,
            };
            ensure!(new.set(created).is_ok(), "two keys were created");
        }
        Ok(())
    }
}

impl Signature {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bare client knows no other clock, and the stand-ins' is right in the benchmark"
    )]
    fn sign(
        &self,
        by: &Pair,
        method: &str,
        path: &str,
        body: &str,
        headers: &mut Vec<(String, String)>,
    ) -> Result<()> {
        let identity = Credentials::new(&by.id, &by.secret, by.token.clone(), None, "floor").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let covered = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(method, path, covered, SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(request, &params.into())?.into_parts();
        headers.extend(
            instructions
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Ok(())
    }
}

/// A value as a form has it.
fn in_form(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// The text of the first XML element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn key(id: &str, secret: &str) -> Pair {
        Pair {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: None,
        }
    }

    /// A request that came and was answered so many milliseconds after the begin.
    fn exchange(begin: Instant, asked: u64, answered: u64, head: &str, body: &str) -> Exchange {
        let request = format!(
            "{head}\r\nhost: there\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = Response::made(200, &[], b"");
        Exchange {
            asked: begin + Duration::from_millis(asked),
            answered: begin + Duration::from_millis(answered),
            request: Request::of(request.as_bytes()).unwrap(),
            response: Response::read(&mut answer.as_slice()).unwrap(),
        }
    }

    #[test]
    fn what_waits_for_no_answer_is_asked_together_and_what_does_is_not() {
        let begin = Instant::now();
        let get = |asked, answered, path: &str| {
            exchange(begin, asked, answered, &format!("GET /{path} HTTP/1.1"), "")
        };
        let one = [get(0, 50, "first"), get(1, 51, "beside"), get(110, 160, "third")];
        let other = [get(55, 105, "second")];
        let plan = Plan::of(
            &[one.to_vec(), other.to_vec()],
            &key("OLDID", "old-secret"),
            &key("NEWID", "new-secret"),
        )
        .unwrap();
        assert_eq!((plan.chain(), plan.requests()), (3, 4));
        assert_eq!(
            plan.outline(),
            "GitLab GET /first\nGitLab GET /beside\n\nGitLab GET /second\n\nGitLab GET /third"
        );
    }

    /// The recorded secret needs no encoding, so that both of its forms are the same text; the next one does.
    #[test]
    fn a_secret_is_sent_again_in_the_form_in_which_it_was_recorded() {
        let (begin, old, created) = (
            Instant::now(),
            key("OLDID", "old-secret"),
            key("NEWID", "plainsecret"),
        );
        let form = "PUT /form HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded";
        let json = "PUT /json HTTP/1.1\r\ncontent-type: application/json";
        let recorded = [
            exchange(begin, 0, 1, form, "value=plainsecret"),
            exchange(begin, 2, 3, json, r#"{"value":"plainsecret","of":"NEWID"}"#),
        ];
        let plan = Plan::of(&[recorded.to_vec()], &old, &created).unwrap();
        let bodies: Vec<&str> = plan
            .stages
            .iter()
            .flatten()
            .map(|ask| ask.body.as_str())
            .collect();
        assert_eq!(
            bodies,
            [
                "value={new-secret-in-form}",
                r#"{"value":"{new-secret}","of":"{new-id}"}"#
            ]
        );
        assert_eq!(in_form("a+b/c"), "a%2Bb%2Fc");
    }

    #[test]
    fn a_signature_says_whose_key_made_it() {
        let by = |key: &str| {
            let text = format!("AWS4-HMAC-SHA256 Credential={key}/20261101/us-east-1/iam/aws4_request, x");
            Signature::of(&text, "OLD", "NEW").unwrap().map(|it| it.by)
        };
        assert_eq!(
            [by("OLD"), by("NEW"), by("ROLE")],
            [Some(By::Old), Some(By::New), Some(By::Signer)]
        );
        assert!(Signature::of("", "OLD", "NEW").unwrap().is_none());
        assert!(Signature::of("Credential=OLD", "OLD", "NEW").is_err());
    }
}
