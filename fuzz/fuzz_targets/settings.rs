//! Any environment is settings, or a failure that repeats no token. Input: `NAME=value` pairs with a NUL after each.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use keyturn::settings::environment::normalise;
use keyturn::settings::{Bootstrap, Settings};
use keyturn::warnings::Warnings;
use libfuzzer_sys::fuzz_target;

const TOKEN: &str = "glpat-canary";

fuzz_target!(|data: &[u8]| {
    let mut variables: Vec<(OsString, OsString)> = vec![("GITLAB_TOKEN".into(), TOKEN.into())];
    for entry in data.split(|byte| *byte == 0) {
        let mut halves = entry.splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            continue;
        };
        // Files of this machine are no part of the input.
        let is_file = name.ends_with(b"_FILE") || name.ends_with(b"_BUNDLE");
        // What stands in the name, or in another setting, is not the token.
        let repeats = entry
            .windows(TOKEN.len())
            .any(|window| window == TOKEN.as_bytes());
        if !is_file && !repeats && name != b"GITLAB_TOKEN" {
            variables.push((
                OsString::from_vec(name.to_vec()),
                OsString::from_vec(value.to_vec()),
            ));
        }
    }
    let clean = normalise(variables);
    let warnings = Warnings::default();
    let mut said = format!(
        "{clean:?} {:?} {:?}",
        Bootstrap::from(&clean.variables),
        Settings::from(&clean.variables, None, &warnings)
    );
    said.extend(warnings.kept());
    assert!(!said.contains(TOKEN));
});
