//! Any text of a secret is settings, or a failure that repeats nothing of it.
#![no_main]

use std::collections::BTreeMap;

use keyturn::secret::Secret;
use keyturn::settings::{SecretJson, Settings};
use keyturn::warnings::Warnings;
use libfuzzer_sys::fuzz_target;

const TOKEN: &str = "glpat-canary";

fuzz_target!(|text: &str| {
    if text.contains("canary") {
        return;
    }
    let warnings = Warnings::default();
    // As it is, cut off, and with the token in its place.
    let _ = SecretJson::parse(&Secret::new(text), &warnings);
    let broken = SecretJson::parse(&Secret::new(format!("{text}{TOKEN}")), &warnings);
    assert!(!format!("{broken:?}").contains(TOKEN));
    let members = text.trim().trim_start_matches('{');
    let whole = format!("{{\"GITLAB_TOKEN\":\"{TOKEN}\",{members}");
    let read = SecretJson::parse(&Secret::new(whole), &warnings);
    let settings = read
        .as_ref()
        .map(|secret| Settings::from(&BTreeMap::new(), Some(secret), &warnings));
    assert!(!format!("{read:?} {settings:?} {warnings:?}").contains(TOKEN));
});
