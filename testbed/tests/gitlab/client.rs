//! A client without opinions: it sends what it is told and keeps the whole answer.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use testbed::gitlab::{GitLab, GroupId, Options, ProjectId, Token};

pub(crate) const ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text()), (status, body));
    }
}

pub(crate) fn client() -> Client {
    builder().build().unwrap()
}

/// A client that trusts this authority and no other.
pub(crate) fn client_trusting(authority_pem: &str) -> Client {
    let authority = reqwest::Certificate::from_pem(authority_pem.as_bytes()).unwrap();
    builder().tls_certs_only([authority]).build().unwrap()
}

fn builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap();
    });
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(Duration::from_secs(5))
}

/// A stand-in with a group, a project in it, and an Owner's token.
pub(crate) struct Bench {
    pub(crate) gitlab: GitLab,
    pub(crate) group: GroupId,
    pub(crate) project: ProjectId,
    pub(crate) token: String,
    pub(crate) client: Client,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn version(version: &str) -> Self {
        Self::with(Options {
            version: version.into(),
            ..Options::default()
        })
        .await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let gitlab = GitLab::start(options).await.unwrap();
        let (group, project, token) = gitlab.world(|world| {
            let group = world.add_group("parent/child");
            let project = world.add_project("parent/child/app");
            (group, project, world.add_token(Token::owner(group)))
        });
        Self {
            gitlab,
            group,
            project,
            token,
            client: client(),
        }
    }

    /// `/groups/ID/variables`, with what follows.
    pub(crate) fn of_group(&self, rest: &str) -> String {
        format!("/groups/{}/variables{rest}", self.group.0)
    }

    /// `/projects/ID/variables`, with what follows.
    pub(crate) fn of_project(&self, rest: &str) -> String {
        format!("/projects/{}/variables{rest}", self.project.0)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client
            .request(method, format!("{}{path}", self.gitlab.url()))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path).header("private-token", &self.token))
            .await
            .unwrap()
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        send(self.request("GET", path).header("private-token", token))
            .await
            .unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request("DELETE", path).header("private-token", &self.token))
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_json("POST", path, body).await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.try_json("PUT", path, body).await.unwrap()
    }

    pub(crate) async fn try_json(&self, method: &str, path: &str, body: Value) -> reqwest::Result<Answer> {
        send(
            self.request(method, path)
                .header("private-token", &self.token)
                .json(&body),
        )
        .await
    }

    pub(crate) async fn form(&self, method: &str, path: &str, body: &'static str) -> Answer {
        let request = self.request(method, path).header("private-token", &self.token);
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        send(request).await.unwrap()
    }
}

pub(crate) async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        bytes: response.bytes().await?.to_vec(),
    })
}
