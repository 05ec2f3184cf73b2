//! Which values GitLab agrees to mask in job logs.

/// The rule for `masked: true`: eight characters or more; with expansion on (`raw: false`) only letters, digits
/// and `_ + = / @ : . ~ -`, with expansion off anything but white space.
///
/// The pattern is anchored at both ends of the text, so a value of several lines never passes.
pub(super) fn is_maskable(value: &str, raw: bool) -> bool {
    let allowed = |c: char| {
        if raw {
            !is_ruby_space(c)
        } else {
            c.is_ascii_alphanumeric() || "_+=/@:.~-".contains(c)
        }
    };
    value.chars().count() >= 8 && value.chars().all(allowed)
}

/// What `\s` means in GitLab's patterns: ASCII white space only.
fn is_ruby_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::is_maskable;

    #[test]
    fn a_value_is_maskable_by_the_rule_of_its_expansion() {
        for (value, raw, expected) in [
            ("AKIAIOSFODNN7EXAMPLE", false, true),
            ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", false, true),
            ("short-7", false, false),
            ("short-7", true, false),
            ("eight-88", false, true),
            ("dollar$sign", false, false),
            ("dollar$sign", true, true),
            ("{\"Version\":1,\"AccessKeyId\":\"A\"}", true, true),
            ("two words", true, false),
            ("first-line\nsecond-line", true, false),
            ("trailing-newline\n", false, false),
        ] {
            assert_eq!(is_maskable(value, raw), expected, "{value:?}, raw: {raw}");
        }
    }
}
