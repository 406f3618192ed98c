//! One request and its answer, without Lua.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Method, redirect};

use super::super::{Failure, file};
use super::{BODY, TIME};
use crate::lua::context::Context;

/// What servers are told who asks.
const USER_AGENT: &str = "zalua";

/// How many redirects are followed.
const REDIRECTS_MAX: usize = 10;

/// The longest body that a script may allow, in bytes.
pub(super) const BODY_MAX: f64 = 67_108_864.0;

/// The longest file of certificates, in bytes.
const CERTIFICATES_MAX: usize = 4 * 1_048_576;

/// The client that all scripts share, made when the first one wants it.
#[derive(Debug, Default)]
pub(in crate::lua) struct Clients {
    default: OnceLock<Result<Client, String>>,
}

impl Clients {
    /// The client for requests that want nothing special.
    pub(super) fn default_client(&self) -> Result<Client, String> {
        let made = self.default.get_or_init(|| build(builder()));
        made.clone()
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) time: Duration,
    pub(super) max_size: usize,
}

impl Request {
    pub(super) fn new(method: Method, url: String) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Vec::new(),
            time: TIME,
            max_size: BODY,
        }
    }

    /// Sets a header.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let (Ok(key), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            return Err(Failure::raise(format!(
                "http.request: headers: {name:?} and its value are no header"
            )));
        };
        self.headers.insert(key, value);
        Ok(())
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Vec<u8>,
    /// The address after all redirects.
    pub(super) url: String,
    /// By lower-case name; several of one name are joined.
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// Why nothing came back. The texts are ZaLua's, line feeds included.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("http create request: {0}\n")]
    Create(String),
    #[error("http error: {0}\n")]
    Send(String),
    #[error("http read response error: {0}\n")]
    Read(String),
}

/// Sends a request and waits for the whole answer.
pub(super) async fn send(
    client: Result<Client, String>,
    request: Request,
) -> Result<Answer, Error> {
    let client = client.map_err(Error::Create)?;
    let (time, max_size) = (request.time, request.max_size);
    let built = client
        .request(request.method, &request.url)
        .headers(request.headers)
        .body(request.body)
        .build()
        .map_err(|error| Error::Create(chain(&error)))?;
    let late = || format!("no answer in {} seconds", time.as_secs_f64());
    let deadline = tokio::time::Instant::now() + time;
    let sent = tokio::time::timeout_at(deadline, client.execute(built)).await;
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(Error::Send(chain(&error))),
        Err(_) => return Err(Error::Send(late())),
    };
    let mut answer = Answer {
        code: response.status().as_u16(),
        url: response.url().to_string(),
        headers: headers(response.headers()),
        body: Vec::new(),
    };
    let body = tokio::time::timeout_at(deadline, body(response, max_size)).await;
    answer.body = body.map_err(|_| Error::Read(late()))??;
    Ok(answer)
}

async fn body(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| Error::Read(chain(&error)))?
    {
        if body.len() + piece.len() > most {
            return Err(Error::Read(format!("the body is longer than {most} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn headers(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let all = map.keys().map(|name| {
        let values: Vec<&[u8]> = map
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        (name.as_str().to_owned(), values.join(&b", "[..]))
    });
    all.collect()
}

/// A client that trusts a further authority, or anybody.
pub(super) fn special_client(
    context: &Context,
    insecure: bool,
    ca: Option<&str>,
) -> Result<Client, String> {
    let mut builder = builder().tls_danger_accept_invalid_certs(insecure);
    if let Some(path) = ca {
        let pem = file::read(context, path.as_ref(), CERTIFICATES_MAX)
            .map_err(|error| format!("open {path}: {}", file::go_error(&error)))?
            .ok_or_else(|| format!("{path} is longer than {CERTIFICATES_MAX} bytes"))?;
        let found = Certificate::from_pem_bundle(&pem).map_err(|error| chain(&error))?;
        if found.is_empty() {
            return Err(format!("{path} has no certificate in it"));
        }
        builder = builder.tls_certs_merge(found);
    }
    build(builder.pool_max_idle_per_host(0))
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::limited(REDIRECTS_MAX))
        // An idle connection of a plugin that asks once a minute is not worth a descriptor.
        .pool_max_idle_per_host(2)
        .pool_idle_timeout(Duration::from_secs(90))
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| chain(&error))
}

/// An error with its causes, in one line.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        // Some repeat what is below them.
        if !text.ends_with(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
