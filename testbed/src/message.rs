//! HTTP messages as bytes: read whole, passed on unchanged. A signature covers what was sent, so nothing is rewritten.

use std::io::{Error, ErrorKind, Read, Result};

/// More headers than either side sends.
const MOST_HEADERS: usize = 64;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its method.
    pub method: String,
    /// Its path with the query.
    pub path: String,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    body_at: usize,
}

/// A response as it came.
#[derive(Clone, Debug)]
pub struct Response {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its status.
    pub status: u16,
    body_at: usize,
}

impl Request {
    /// The next request on a connection; `None` when there is none any more.
    ///
    /// # Errors
    ///
    /// When the connection ends in the middle, or what comes is no request.
    pub fn read(stream: &mut impl Read) -> Result<Option<Request>> {
        let mut bytes = Vec::new();
        loop {
            if let Some((request, length)) = Request::parse(&bytes)? {
                let end = request.body_at.saturating_add(length);
                return read_to(stream, bytes, end).map(|bytes| Some(Request { bytes, ..request }));
            }
            if read_more(stream, &mut bytes)? == 0 {
                return Ok(None);
            }
        }
    }

    /// A request made by a test.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn of(bytes: &[u8]) -> Result<Request> {
        let (request, _) = Request::parse(bytes)?.ok_or(ErrorKind::UnexpectedEof)?;
        Ok(Request {
            bytes: bytes.to_vec(),
            ..request
        })
    }

    /// What comes after the headers.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body_at..).unwrap_or_default()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(value)
    }

    /// A form's value, where the body is one: the action and the parameters of IAM and STS.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<String> {
        let body = std::str::from_utf8(self.body()).ok()?;
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
        let text = |header: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        };
        let request = Request {
            bytes: Vec::new(),
            method: head.method.unwrap_or_default().to_owned(),
            path: head.path.unwrap_or_default().to_owned(),
            headers: head.headers.iter().map(text).collect(),
            body_at,
        };
        Ok(Some((request, length(head.headers)?)))
    }
}

impl Response {
    /// The response to the request that was sent on this connection.
    ///
    /// # Errors
    ///
    /// When the connection ends before it, or what comes is no response.
    pub fn read(stream: &mut impl Read) -> Result<Response> {
        let mut bytes = Vec::new();
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(body_at) = head.parse(&bytes).map_err(malformed)? {
                let status = head.code.unwrap_or_default();
                let end = body_at.saturating_add(length(head.headers)?);
                let bytes = read_to(stream, bytes, end)?;
                return Ok(Response {
                    bytes,
                    status,
                    body_at,
                });
            }
            if read_more(stream, &mut bytes)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// What comes after the headers.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body_at..).unwrap_or_default()
    }

    /// An answer that the stand-in didn't give.
    #[must_use]
    pub fn made(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
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

fn read_more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let count = stream.read(&mut buffer)?;
    bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
    Ok(count)
}

fn read_to(stream: &mut impl Read, mut bytes: Vec<u8>, end: usize) -> Result<Vec<u8>> {
    let there = bytes.len();
    if there > end {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "more than one message at once",
        ));
    }
    bytes.resize(end, 0);
    stream.read_exact(bytes.get_mut(there..).unwrap_or_default())?;
    Ok(bytes)
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
