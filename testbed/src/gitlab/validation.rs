//! What GitLab accepts as a variable, and its words for what it doesn't.

use std::collections::BTreeMap;

use super::masking::is_maskable;
use super::params::{Declarations, Given};
use super::variables::{Variable, VariableType};
use super::version::Version;

/// Failed validations by attribute; `base` for the record as a whole.
pub(super) type Errors = BTreeMap<&'static str, Vec<String>>;

/// The declared attributes of a `POST` or `PUT`, apart from the key.
#[derive(Debug)]
pub(super) struct Attributes {
    value: Given<String>,
    protected: Given<bool>,
    masked: Given<bool>,
    raw: Given<bool>,
    variable_type: Given<VariableType>,
    environment_scope: Given<String>,
    description: Given<String>,
}

impl Attributes {
    /// Reads all but `value`, which only `POST` requires.
    pub(super) fn declared(declared: &mut Declarations<'_>, value: Given<String>) -> Self {
        Self {
            value,
            protected: declared.boolean("protected"),
            masked: declared.boolean("masked"),
            raw: declared.boolean("raw"),
            variable_type: declared.one_of("variable_type", VariableType::parse),
            environment_scope: declared.text("environment_scope"),
            description: declared.text("description"),
        }
    }

    /// An enterprise build without the licence drops the scope of a group's variable, silently and with success.
    pub(super) fn without_scope(self) -> Self {
        Self {
            environment_scope: Given::Absent,
            ..self
        }
    }

    /// Puts what was sent over `variable` and leaves the rest alone, as `PUT` does. Answers what can't be stored.
    pub(super) fn merge_into(self, variable: &mut Variable, version: &Version) -> Errors {
        let mut errors = Errors::new();
        let Self {
            value,
            protected,
            masked,
            raw,
            variable_type,
            environment_scope,
            description,
        } = self;
        match value {
            Given::Absent => {}
            Given::Null => variable.value = String::new(),
            Given::Is(value) => variable.value = value,
        }
        set_flag(&mut variable.protected, protected, "protected", &mut errors);
        set_flag(&mut variable.masked, masked, "masked", &mut errors);
        if version.has_raw() {
            set_flag(&mut variable.raw, raw, "raw", &mut errors);
        }
        if let Given::Is(kind) = variable_type {
            variable.variable_type = kind;
        }
        match environment_scope {
            Given::Absent => {}
            Given::Null => variable.environment_scope = String::new(),
            Given::Is(scope) => variable.environment_scope = scope.trim().to_owned(),
        }
        if version.has_description() {
            match description {
                Given::Absent => {}
                Given::Null => variable.description = None,
                Given::Is(text) => variable.description = Some(text),
            }
        }
        errors
    }
}

fn set_flag(flag: &mut bool, given: Given<bool>, name: &'static str, errors: &mut Errors) {
    match given {
        Given::Absent => {}
        Given::Null => add(errors, name, "is not included in the list"),
        Given::Is(value) => *flag = value,
    }
}

/// Checks the variable as it would be stored: sent attributes over kept ones. Turning `raw` off or `masked` on
/// therefore checks the value that is there.
pub(super) fn validate(variable: &Variable, version: &Version, errors: &mut Errors) {
    let Variable {
        key,
        value,
        variable_type: _,
        protected: _,
        masked,
        hidden,
        raw,
        environment_scope,
        description,
    } = variable;

    if key.is_empty() {
        add(errors, "key", "can't be blank");
    }
    if key.chars().count() > 255 {
        add(errors, "key", "is too long (maximum is 255 characters)");
    }
    if key.is_empty()
        || !key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        add(errors, "key", "can contain only letters, digits and '_'.");
    }
    if environment_scope.is_empty() {
        add(errors, "environment_scope", "can't be blank");
    }
    let in_scope = |c: char| c.is_ascii_alphanumeric() || "-_/${}.* ".contains(c);
    if environment_scope.is_empty() || !environment_scope.chars().all(in_scope) {
        let text = "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', '*' and spaces";
        add(errors, "environment_scope", text);
    }
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > 255)
    {
        add(errors, "description", "is too long (maximum is 255 characters)");
    }
    if *hidden && version.has_hidden() && !masked {
        // The two wordings of the refusal to unmask a hidden variable; the whole update is refused.
        let text = if version.has_new_hidden_wording() {
            "The visibility setting cannot be changed for masked and hidden variables."
        } else {
            "Updating masked attribute is not allowed on updates for hidden variables."
        };
        add(errors, "base", text);
    }
    if *masked && !is_maskable(value, *raw) {
        add(errors, "value", "is invalid");
    }
}

pub(super) fn add(errors: &mut Errors, attribute: &'static str, text: &str) {
    errors.entry(attribute).or_default().push(text.to_owned());
}
