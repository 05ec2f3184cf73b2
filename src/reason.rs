//! Every reason that a report can give: its word, its class, and what it means.
//!
//! A word is an interface: scripts compare it. It is never changed or used for something else.

mod explain;

use std::fmt;

use planner::{Block, Incomplete, Wait};
use serde::{Serialize, Serializer};

pub use explain::Explanation;

/// What an ending means for whoever is responsible, mildest first: of several rotations the worst counts. The exit code
/// follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing is left to do: exit code 0.
    Converged,
    /// A later run continues: exit code 0.
    Waiting,
    /// Usage or settings: exit code 2.
    Settings,
    /// A defect of keyturn: exit code 1.
    Unexpected,
    /// A remote failed; running again is safe: exit code 4.
    Incomplete,
    /// A person must act: exit code 3.
    Blocked,
}

/// One line each: name, word, what happened, and the advice of a report where it doesn't depend on the details.
macro_rules! reasons {
    (@advice) => { None };
    (@advice $advice:literal) => { Some($advice) };
    ($($class:ident { $($name:ident $word:literal $happened:literal $(=> $advice:literal)?)* })*) => {
        /// Why a rotation ended as it did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $happened] $name,)*)*
        }

        impl Reason {
            /// All of them, class by class.
            pub const ALL: &[Reason] = &[$($(Reason::$name,)*)*];

            /// The word that reports use.
            pub const fn word(self) -> &'static str {
                match self {
                    $($(Reason::$name => $word,)*)*
                }
            }

            /// How a rotation usually ends for this reason. A refusal of a write whose earlier attempt may have taken effect
            /// is incomplete whatever it says, so an ending has a class of its own.
            pub const fn class(self) -> Class {
                match self {
                    $($(Reason::$name)|* => Class::$class,)*
                }
            }

            /// What a report advises, where it is the same whatever the details are.
            pub const fn advice(self) -> Option<&'static str> {
                match self {
                    $($(Reason::$name => reasons!(@advice $($advice)?),)*)*
                }
            }

            /// What happened, in a sentence that holds whatever the details are.
            pub const fn happened(self) -> &'static str {
                match self {
                    $($(Reason::$name => $happened,)*)*
                }
            }
        }
    };
}

reasons! {
    Converged {
        Converged "converged" "Every target holds the current key, and nothing else is due."
    }
    Waiting {
        Grace "grace" "The outgoing key stays Active because jobs that started earlier may still hold it."
        InUse "in_use" "Somebody used the outgoing key within the last `KEYTURN_UNUSED_FOR`."
        UseOfNewKey "use_of_new_key" "`KEYTURN_REQUIRE_USE` is on, and nobody but keyturn has used the new key yet."
        DeleteAfter "delete_after" "The outgoing key is Inactive and not yet due to be deleted."
        Quiet "quiet" "The last rotation wrote so recently that one of its requests could still take effect."
        OrphanAge "orphan_age" "A key that no target mentions is so young that a run in progress may be about to publish it."
        Unconfirmed "unconfirmed" "A pair seems not to work, but it was written so recently that IAM's list of keys may be stale."
    }
    Blocked {
        Hold "hold" "The description of a variable contains `keyturn:hold`."
        IncompleteRead "incomplete_read" "keyturn couldn't read one of the targets, so it can't tell which keys are in use."
        OwnerUnknown "owner_unknown" "keyturn can't tell which key the secret in a variable belongs to."
        HalfPair "half_pair" "One variable of a pair holds a value and the other doesn't, and keyturn didn't leave it so."
        WrongPlace "wrong_place" "The run is signed by a key of the user, but none of the configured variables exists."
        JournalTaken "journal_taken" "The variable named in `KEYTURN_JOURNAL` holds something that keyturn didn't write."
        KeyDisabled "key_disabled" "A target holds a key that somebody deactivated."
        SlotOccupied "slot_occupied" "The user has two access keys, and one of them isn't keyturn's to remove."
        Split "split" "The targets hold different keys, and the secret of the newest can't be read anywhere."
        HeldElsewhere "held_elsewhere" "A variable that keyturn doesn't write holds the key, too."
        DeadPair "dead_pair" "The pair in the variables doesn't work, and `retire` creates no key."
        MissingVariable "missing_variable" "A variable doesn't exist, and `KEYTURN_CREATE` is false."
        AllHidden "all_hidden" "There are several targets, GitLab hides every secret, and the run has none, so it couldn't be resumed."
        ClocksDisagree "clocks_disagree" "The clocks of AWS and GitLab differ by more than five minutes, or did when a marker was written."
        LastUseUnknown "last_use_unknown" "keyturn couldn't read when a key was last used."
        ValueRefused "value_refused" "GitLab refused a value, usually by its rule for masked variables."
        AccessDenied "access_denied" "AWS denied an action that the run needs. The message names it."
        AwsRefused "aws_refused" "AWS refused a request with an error code that keyturn has no word for."
            => "See the error code in AWS's documentation of the action."
        ClockSkew "clock_skew" "AWS refused a signature because of its time."
            => "Set the clock of the machine that runs keyturn."
        CredentialExpired "credential_expired" "The AWS credentials have expired."
            => "Give keyturn fresh credentials."
        CredentialRefused "credential_refused" "AWS doesn't accept the credentials."
        CredentialUnusable "credential_unusable" "The AWS credentials are configured in a way that can't be used."
            => "Check AWS_PROFILE, the shared configuration files and AWS_CONTAINER_CREDENTIALS_*."
        InvalidRequest "invalid_request" "AWS considers a request invalid, or it couldn't be built."
        KeyOfSomebodyElse "key_of_somebody_else" "AWS says that the new key belongs to another user than the settings name."
            => "Check the settings: the key, the account and the user do not belong together."
        NoCredential "no_credential" "keyturn found no AWS credentials."
            => "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or KEYTURN_ID_TOKEN and AWS_ROLE_ARN. keyturn looked in \
             the environment, the profile (AWS_PROFILE), AWS_WEB_IDENTITY_TOKEN_FILE, the container's credentials (ECS, \
             EKS) and the instance's role (EC2)."
        RegionDisabled "region_disabled" "STS isn't active in the configured region."
            => "Activate STS for the region in the account's settings, or set AWS_REGION to another."
        RootRefused "root_refused" "The AWS credentials are those of an account's root user."
        SecretBinary "secret_binary" "The secret named in `KEYTURN_SECRET_ID` holds no text."
            => "Store it as a text (SecretString), not as bytes."
        SecretDeleted "secret_deleted" "The secret named in `KEYTURN_SECRET_ID` is scheduled for deletion, or has no value."
            => "Restore the secret or name another."
        SecretUndecryptable "secret_undecryptable" "AWS couldn't decrypt the secret named in `KEYTURN_SECRET_ID`."
            => "Allow kms:Decrypt with the secret's key to the identity that runs keyturn."
        SecretUnknown "secret_unknown" "Secrets Manager has no secret of the name in `KEYTURN_SECRET_ID`."
            => "Check the name, the region and the account."
        UserUnknown "user_unknown" "IAM has no user of this name, in this account."
            => "Check the name of the IAM user and the account of the credentials."
        AmbiguousVariable "ambiguous_variable" "More than one variable could be meant, or the variable exists in other environment scopes only."
        GitlabTooOld "gitlab_too_old" "This GitLab is too old: it may overwrite the variable of another environment scope."
        GroupUnknown "group_unknown" "GitLab shows the token no such group."
            => "It is absent, renamed (old paths of groups are not followed) or not visible to the token. Its number \
             survives renaming."
        Moved "moved" "The project or the GitLab server has moved. keyturn follows no redirect, because it would send the token along."
            => "The project or the GitLab address has moved; redirects are not followed, so that the token goes nowhere \
             else. Use the project's number, and the API root that GitLab shows in CI_API_V4_URL."
        NoDescriptions "no_descriptions" "This GitLab doesn't keep the descriptions of variables, which hold keyturn's markers."
        NotGitlab "not_gitlab" "Something other than GitLab answered."
            => "Is GITLAB_API_URL an API root ending in /api/v4? Does a proxy or a sign-in page stand before it?"
        ProjectUnknown "project_unknown" "GitLab shows the token no such project."
            => "It is absent or not visible to the token. Its number survives renaming."
        Reference "reference" "A variable refers to another one, and writing it would cut that link."
        RequestRefused "request_refused" "GitLab refused a request. The message quotes its answer."
            => "Change what GitLab names, then run again."
        Tls "tls" "A TLS connection wasn't accepted, or couldn't be set up."
        TokenExpired "token_expired" "The GitLab token has expired."
            => "Create a new token with the scope api and give it to keyturn."
        TokenExpires "token_expires" "The GitLab token expires before this run may end."
        TokenRefused "token_refused" "GitLab doesn't know the token."
            => "Check GITLAB_TOKEN: a personal, group or project access token of this instance. A CI_JOB_TOKEN can't reach \
             variables."
        TokenRevoked "token_revoked" "The GitLab token was revoked."
            => "Create a new token with the scope api and give it to keyturn."
        TokenRole "token_role" "The GitLab token's role doesn't permit a request."
        TokenScope "token_scope" "The GitLab token lacks the scope `api`."
        VariableUnknown "variable_unknown" "Somebody deleted a variable while the run was writing it."
            => "Find out who removed it; create it again, then run again."
        WrongVariableAnswered "wrong_variable_answered" "GitLab answered a write with another variable, which may have been overwritten."
            => "Compare the variable that GitLab names with what it should hold, and write it anew."
    }
    Incomplete {
        Interrupted "interrupted" "The run was asked to stop."
        OutOfTime "out_of_time" "The run had too little time left."
        UnclearWrite "unclear_write" "A write got no answer and may still take effect, so keyturn wrote nothing else over it."
        UnclearCreate "unclear_create" "The answer to `CreateAccessKey` was lost. keyturn never sends it twice."
        Unverified "unverified" "AWS didn't accept the new key in time."
        Yielded "yielded" "Another run created a key first."
        Unpublished "unpublished" "This run created a key that no target holds, and couldn't delete it safely."
        AwsBusy "aws_busy" "AWS was busy with another change of the same user, or with the identity provider."
        AwsError "aws_error" "AWS answered with a server error."
        AwsNotAws "aws_not_aws" "Something other than AWS answered."
            => "Check HTTPS_PROXY and AWS_ENDPOINT_URL: something else than AWS gave the answer. Running again is safe."
        AwsThrottled "aws_throttled" "AWS throttled the requests."
        AwsTimeout "aws_timeout" "AWS didn't answer in time."
        AwsUnreachable "aws_unreachable" "keyturn couldn't reach AWS."
            => "Check the network, HTTPS_PROXY, AWS_REGION and AWS_ENDPOINT_URL, then run again; it is safe."
        CredentialSource "credential_source" "The source of the AWS credentials failed, or gave none in time."
        KeyNotAccepted "key_not_accepted" "AWS didn't accept the new key within the time for it."
        KeyNotLive "key_not_live" "AWS doesn't accept a key yet that is new or was just activated."
        ListBehind "list_behind" "IAM listed a key but says that it doesn't exist; the list is probably stale."
        NoDate "no_date" "A server's answers carry no usable date, and keyturn compares times by the servers' clocks only."
        NoSuchKey "no_such_key" "The key that keyturn was about to deactivate doesn't exist any more."
        Quota "quota" "The user has as many access keys as AWS allows, although IAM's list showed fewer."
        GitlabAnswerDiffers "gitlab_answer_differs" "GitLab answered a write with something other than what was written."
        GitlabError "gitlab_error" "GitLab answered with a server error, or with something that can't be used."
        GitlabListChanged "gitlab_list_changed" "The variables changed while keyturn was reading them."
        GitlabRateLimited "gitlab_rate_limited" "GitLab limits the rate of requests."
        GitlabReadOnly "gitlab_read_only" "The GitLab server is read-only, usually for maintenance."
        GitlabTimeout "gitlab_timeout" "GitLab didn't answer in time."
        GitlabUnreachable "gitlab_unreachable" "keyturn couldn't reach GitLab, or the connection broke."
    }
    Settings {
        ApiUrlMalformed "api_url_malformed" "`GITLAB_API_URL` isn't a plain http or https URL."
            => "Set GITLAB_API_URL to the API root, such as https://gitlab.example.com/api/v4, without user, query or \
             fragment."
        BadSetting "bad_setting" "A setting has a value that can't be used. The message names both."
        CaFile "ca_file" "A file of CA certificates can't be read or isn't PEM."
        CaFileMalformed "ca_file_malformed" "A certificate in the file of `KEYTURN_CA_FILE` can't be used for GitLab."
            => "KEYTURN_CA_FILE must name a PEM file with one certificate or more (BEGIN CERTIFICATE)."
        CaInvalid "ca_invalid" "A certificate in the file of `AWS_CA_BUNDLE` or `KEYTURN_CA_FILE` can't be used for AWS."
            => "Check the file that AWS_CA_BUNDLE or KEYTURN_CA_FILE names."
        ConfigUnsupported "config_unsupported" "`KEYTURN_CONFIG` is set, which this version doesn't support."
        EnvironmentNotClean "environment_not_clean" "keyturn couldn't clean values in its environment that would mislead the AWS SDK."
        HalfPairNamed "half_pair_named" "Only one variable of the pair is named in the settings."
        NameMalformed "name_malformed" "The name of a group, project or variable is empty or consists of dots."
            => "Check the targets."
        NoTarget "no_target" "Neither `GITLAB_GROUP_ID` nor `GITLAB_PROJECT_ID` is set."
        NotUtf8 "not_utf8" "A setting isn't UTF-8 text."
        Policy "policy" "The periods in the settings contradict each other. The message has the arithmetic."
        RoleMissing "role_missing" "`KEYTURN_ID_TOKEN` is set and `AWS_ROLE_ARN` isn't."
        SameVariable "same_variable" "Two settings name the same variable."
        SecretInSetting "secret_in_setting" "A setting that is no secret contains one."
        SecretNotJson "secret_not_json" "The text of the secret named in `KEYTURN_SECRET_ID` isn't a JSON object."
        SecretValue "secret_value" "A value in the secret named in `KEYTURN_SECRET_ID` is a list or an object."
        TokenMalformed "token_malformed" "`GITLAB_TOKEN` contains spaces, line breaks or non-ASCII characters."
        TokenMissing "token_missing" "`GITLAB_TOKEN` isn't set."
        UnknownRotation "unknown_rotation" "A rotation was asked for that doesn't exist."
        UserMissing "user_missing" "The settings name no IAM user, and keyturn won't guess whose key is to be rotated."
    }
    Unexpected {
        NoTlsProvider "no_tls_provider" "keyturn started without a TLS library."
            => "This is a defect of keyturn; report it."
        SettingsUnreadable "settings_unreadable" "keyturn couldn't read its own settings."
        Unexpected "unexpected" "keyturn came to a point that it should never reach."
    }
}

impl Reason {
    /// The reason of this word, if there is one.
    pub fn of_word(word: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.word() == word)
    }

    /// Where the documentation says more, from the root of the repository.
    pub fn page(self) -> String {
        format!("docs/reasons.md#{}", self.word())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl From<Wait> for Reason {
    fn from(wait: Wait) -> Reason {
        match wait {
            Wait::Grace { .. } => Reason::Grace,
            Wait::InUse { .. } => Reason::InUse,
            Wait::UseOfNewKey { .. } => Reason::UseOfNewKey,
            Wait::Deletion { .. } => Reason::DeleteAfter,
            Wait::Quiet { .. } => Reason::Quiet,
            Wait::Orphan { .. } => Reason::OrphanAge,
            Wait::Unconfirmed { .. } => Reason::Unconfirmed,
        }
    }
}

impl From<Block> for Reason {
    fn from(block: Block) -> Reason {
        match block {
            Block::Hold { .. } => Reason::Hold,
            Block::IncompleteRead { .. } => Reason::IncompleteRead,
            Block::OwnerUnknown { .. } => Reason::OwnerUnknown,
            Block::HalfPair { .. } => Reason::HalfPair,
            Block::WrongPlace { .. } => Reason::WrongPlace,
            Block::JournalTaken => Reason::JournalTaken,
            Block::CreateDenied => Reason::AccessDenied,
            Block::KeyDisabled { .. } => Reason::KeyDisabled,
            Block::SlotOccupied { .. } => Reason::SlotOccupied,
            Block::Split { .. } => Reason::Split,
            Block::HeldElsewhere { .. } => Reason::HeldElsewhere,
            Block::Dead { .. } => Reason::DeadPair,
            Block::MissingVariable { .. } => Reason::MissingVariable,
            Block::AllHidden => Reason::AllHidden,
            Block::ClocksDisagree => Reason::ClocksDisagree,
            Block::LastUseUnknown { .. } => Reason::LastUseUnknown,
            Block::Refused => Reason::ValueRefused,
        }
    }
}

impl From<Incomplete> for Reason {
    fn from(why: Incomplete) -> Reason {
        match why {
            Incomplete::Interrupted => Reason::Interrupted,
            Incomplete::OutOfTime => Reason::OutOfTime,
            Incomplete::UnclearWrite => Reason::UnclearWrite,
            Incomplete::UnclearCreate => Reason::UnclearCreate,
            Incomplete::Unverified => Reason::Unverified,
            Incomplete::Yielded => Reason::Yielded,
            Incomplete::Unpublished { .. } => Reason::Unpublished,
        }
    }
}

#[cfg(test)]
mod tests;
