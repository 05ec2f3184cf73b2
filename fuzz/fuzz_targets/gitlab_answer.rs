//! Any answer of GitLab's: no panic, a bounded text, and no piece of the secret that was sent.
#![no_main]

use keyturn::failure::Written;
use keyturn::gitlab::answers::{page, written};
use keyturn::secret::Secret;
use libfuzzer_sys::fuzz_target;

const SENT: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (status, html, body) = input;
    let status = 100 + status % 500;
    // What is sent may come back anywhere: `~` stands for it.
    let mut echoed = Vec::new();
    for byte in body {
        match byte {
            b'~' => echoed.extend_from_slice(SENT.as_bytes()),
            byte => echoed.push(*byte),
        }
    }
    if let Err(failure) = page(status, html, &echoed) {
        assert!(failure.message.chars().count() < 600);
    }
    if let Written::Refused(failure) | Written::Unclear(failure) =
        written(status, html, &echoed, &Secret::new(SENT))
    {
        let said = format!("{failure:?}");
        assert!(failure.message.chars().count() < 600);
        assert!((0..=SENT.len() - 8).all(|at| !said.contains(&SENT[at..at + 8])));
    }
});
