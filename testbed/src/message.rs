//! HTTP messages as bytes: read whole, passed on unchanged. A signature covers what was sent, so nothing is rewritten.

use std::io::{Error, ErrorKind, Read, Result};
use std::net::TcpStream;

/// More headers than either side sends.
const MOST_HEADERS: usize = 64;

/// A request as it came.
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) method: String,
    pub(crate) path: String,
    body_at: usize,
}

/// A response as it came.
pub(crate) struct Response {
    pub(crate) bytes: Vec<u8>,
    pub(crate) status: u16,
}

impl Request {
    /// The next request on a connection; `None` when there is none any more.
    pub(crate) fn read(stream: &mut TcpStream) -> Result<Option<Request>> {
        let mut bytes = Vec::new();
        loop {
            if let Some((request, length)) = Request::parse(&bytes)? {
                let end = request.body_at + length;
                return read_to(stream, bytes, end).map(|bytes| Some(Request { bytes, ..request }));
            }
            if read_more(stream, &mut bytes)? == 0 {
                return Ok(None);
            }
        }
    }

    /// A request made by a test.
    pub(crate) fn of(bytes: &[u8]) -> Request {
        let (request, _) = Request::parse(bytes).unwrap().unwrap();
        Request {
            bytes: bytes.to_vec(),
            ..request
        }
    }

    /// A form's value, where the body is one: the action and the parameters of IAM and STS.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        let body = std::str::from_utf8(&self.bytes[self.body_at..]).ok()?;
        body.split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(left, _)| *left == name)
            .map(|(_, right)| right.to_owned())
    }

    fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(body_at) = head.parse(bytes).map_err(malformed)? else {
            return Ok(None);
        };
        let request = Request {
            bytes: Vec::new(),
            method: head.method.unwrap_or_default().to_owned(),
            path: head.path.unwrap_or_default().to_owned(),
            body_at,
        };
        Ok(Some((request, length(head.headers)?)))
    }
}

impl Response {
    /// The response to the request that was sent on this connection.
    pub(crate) fn read(stream: &mut TcpStream) -> Result<Response> {
        let mut bytes = Vec::new();
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(body_at) = head.parse(&bytes).map_err(malformed)? {
                let status = head.code.unwrap_or_default();
                let end = body_at + length(head.headers)?;
                let bytes = read_to(stream, bytes, end)?;
                return Ok(Response { bytes, status });
            }
            if read_more(stream, &mut bytes)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// An answer that the stand-in didn't give.
    pub(crate) fn made(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {status} Fault\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (bytes + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// Neither the clients nor the stand-ins send a body in chunks.
fn length(headers: &[httparse::Header<'_>]) -> Result<usize> {
    let value = |name: &str| {
        let header = headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(header.value).into_owned())
    };
    if value("transfer-encoding").is_some() {
        return Err(Error::new(ErrorKind::InvalidData, "a body in chunks"));
    }
    value("content-length").map_or(Ok(0), |text| text.parse().map_err(malformed))
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let count = stream.read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..count]);
    Ok(count)
}

fn read_to(stream: &mut TcpStream, mut bytes: Vec<u8>, end: usize) -> Result<Vec<u8>> {
    let there = bytes.len();
    if there > end {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "more than one message at once",
        ));
    }
    bytes.resize(end, 0);
    stream.read_exact(&mut bytes[there..])?;
    Ok(bytes)
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
