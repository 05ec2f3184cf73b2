//! AWS over TLS, and AWS's own names behind a proxy.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use testbed::aws::{Door, TlsFiles};
use testbed::gitlab::Certificate;
use testbed::message::Request;
use testbed::relay;

use super::*;

/// A lab whose AWS has a certificate for these names, of an authority that nobody knows.
async fn with_certificate(name: &str, names: &[&str]) -> (Lab, TlsFiles) {
    let files = TlsFiles::write(&directory(name), &Certificate::new(names).unwrap()).unwrap();
    let door = Door {
        tls: Some(files.clone()),
        ..Door::default()
    };
    let lab = Lab::watched_behind(&door, env!("CARGO_BIN_EXE_keyturn").into())
        .await
        .unwrap();
    (lab, files)
}

#[tokio::test]
async fn an_aws_of_an_unknown_authority_is_refused() {
    let (lab, _) = with_certificate("tls-unknown", &["127.0.0.1"]).await;
    let settings = lab.settings(&lab.old);
    let rotation = refused(&lab, &settings, 3, "tls").await;
    assert!(
        text(&rotation, "advice").contains("AWS_CA_BUNDLE"),
        "{rotation:#}"
    );
}

#[tokio::test]
async fn an_aws_of_a_named_authority_rotates() {
    for name in ["AWS_CA_BUNDLE", "KEYTURN_CA_FILE"] {
        let (lab, files) = with_certificate(&format!("tls-{name}"), &["127.0.0.1"]).await;
        let settings = lab.settings(&lab.old);
        rotated(&lab, &with(settings, name, files.authority.to_str().unwrap())).await;
    }
}

/// A proxy that leads every host to the stand-in, and remembers which hosts it was asked for.
struct Proxy {
    url: String,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Proxy {
    fn to(server: &str) -> Proxy {
        let server: SocketAddr = server.trim_start_matches("https://").parse().unwrap();
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let hosts = Arc::clone(&asked);
        let address = relay::listen(move |client| {
            // keyturn tells what goes wrong here: it has no answer.
            let _ = tunnel(client, server, &hosts);
        });
        let url = format!("http://{}", address.unwrap());
        Proxy { url, asked }
    }
}

fn tunnel(mut client: TcpStream, server: SocketAddr, hosts: &Mutex<BTreeSet<String>>) -> Result<()> {
    let request = Request::read(&mut client)?.ok_or(ErrorKind::UnexpectedEof)?;
    let asked = match request.method.as_str() {
        "CONNECT" => request.path,
        other => format!("{other} {}", request.path),
    };
    hosts.lock().unwrap().insert(asked);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    relay::pass_on(client, server)
}

/// Where requests go is the SDK's knowledge; that keyturn asks it rightly, and proves a key where that key is known, is
/// shown by a whole rotation under AWS's own names.
#[tokio::test]
async fn every_partition_is_reached_under_its_own_names() {
    for (region, hosts) in [
        (
            "us-gov-west-1",
            ["iam.us-gov.amazonaws.com", "sts.us-gov-west-1.amazonaws.com"].as_slice(),
        ),
        (
            "cn-north-1",
            &[
                "iam.cn-north-1.amazonaws.com.cn",
                "sts.cn-north-1.amazonaws.com.cn",
            ],
        ),
        (
            "eusc-de-east-1",
            &[
                "iam.eusc-de-east-1.amazonaws.eu",
                "sts.eusc-de-east-1.amazonaws.eu",
            ],
        ),
        (
            "eu-central-1",
            &[
                "iam.amazonaws.com",
                "sts.eu-central-1.amazonaws.com",
                "sts.us-east-1.amazonaws.com",
            ],
        ),
    ] {
        let names: Vec<&str> = hosts.iter().copied().chain(["127.0.0.1"]).collect();
        let (lab, files) = with_certificate(&format!("tls-{region}"), &names).await;
        let proxy = Proxy::to(lab.aws.url());
        let settings = with(lab.settings(&lab.old), "AWS_REGION", region);
        let settings = with(settings, "AWS_CA_BUNDLE", files.authority.to_str().unwrap());
        let settings = with(without(settings, "AWS_ENDPOINT_URL"), "HTTPS_PROXY", &proxy.url);
        rotated(&lab, &settings).await;
        let asked = proxy.asked.lock().unwrap().clone();
        let expected: BTreeSet<String> = hosts.iter().map(|host| format!("{host}:443")).collect();
        assert_eq!(asked, expected, "{region}");
    }
}
