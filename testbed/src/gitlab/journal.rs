//! What was called, without any secret: names of tokens and parameters, never their values.

use jiff::Timestamp;
use serde::Serialize;

use super::request::Request;
use super::world::World;

/// One call of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Its number, from 1.
    pub n: u64,
    /// The server's time at its arrival.
    pub at: Timestamp,
    /// Which connection it came on, from 1: two calls on one connection have the same.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// Path and query; a value or token in the query is replaced by `FILTERED`.
    pub path: String,
    /// The status sent; `None` if none was, or not yet.
    pub status: Option<u16>,
    /// The name of the token, if it is one that exists.
    pub token: Option<String>,
    /// The names of all parameters, of the query and the body; members as `filter[environment_scope]`.
    pub parameters: Vec<String>,
    /// The variable's key, from the path or the parameters.
    pub key: Option<String>,
    /// The environment scope, from the filter or else the parameters.
    pub scope: Option<String>,
    /// The fault that befell it.
    pub fault: Option<String>,
}

/// All calls since the start or the last reset.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal(Vec<Call>);

impl Journal {
    pub(super) fn calls(&self) -> &[Call] {
        &self.0
    }

    /// Enters a call at its arrival and answers its number.
    pub(super) fn enter(
        &mut self,
        request: &Request,
        connection: u64,
        fault: Option<String>,
        world: &World,
    ) -> u64 {
        let params = request.parameters();
        let parameter = params.text("private_token");
        let token = request
            .token(parameter.as_deref())
            .and_then(|text| world.token(text));
        let key = match request.segments().unwrap_or_default().as_slice() {
            [_, _, variables, key] if variables == "variables" => Some(key.clone()),
            _ => params.text("key"),
        };
        let n = self.0.len() as u64 + 1;
        self.0.push(Call {
            n,
            at: world.now(),
            connection,
            method: request.method.clone(),
            path: request.harmless_path_and_query(),
            status: None,
            token: token.map(|issued| issued.token.name.clone()),
            parameters: params.names(),
            key,
            scope: params.filter_scope().or_else(|| params.text("environment_scope")),
            fault,
        });
        n
    }

    pub(super) fn answered(&mut self, n: u64, status: u16) {
        if let Some(call) = self.0.iter_mut().find(|call| call.n == n) {
            call.status = Some(status);
        }
    }
}
