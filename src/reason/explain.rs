//! What a reason means to whoever reads it: what happened, what is left, what to do.

use super::{Class, Reason};

/// A reason in plain words, for the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened.
    pub happened: &'static str,
    /// What state keys and variables are in.
    pub left: &'static str,
    /// What to do.
    pub to_do: &'static str,
}

const NOTHING: &str = "keyturn changed nothing.";
const NO_MORE: &str =
    "keyturn changed nothing after it noticed this. The report lists the steps that it had done before.";
const STEPS: &str = "The steps that the report lists are done, and no others. If the report names a torn pair, jobs that start \
                     now can't sign until the next run has completed the pair.";
const BOTH_WORK: &str = "The new key is in every target. The outgoing key still works.";
const AGAIN: &str =
    "Nothing, if a schedule runs keyturn: the next run continues. Otherwise run it again; it is safe.";
const LATER: &str = "Nothing. The first run after the time that the report gives continues.";
const DEFECT: &str = "Run keyturn again, and report this as a defect with the log.";

impl Reason {
    /// The reason in plain words.
    pub fn explanation(self) -> Explanation {
        Explanation {
            happened: self.happened(),
            left: self.left(),
            to_do: self.to_do(),
        }
    }

    fn left(self) -> &'static str {
        match self {
            Reason::Converged => "The pair in every target works, and the outgoing key is gone.",
            Reason::Grace | Reason::InUse | Reason::UseOfNewKey => BOTH_WORK,
            Reason::DeleteAfter => {
                "The new key is in every target. The outgoing key is refused, and can still be activated again in IAM."
            }
            Reason::Quiet => "No new key was created.",
            Reason::OrphanAge => "The key stays, and so do the pairs in the targets.",
            Reason::Unconfirmed => "The pair stays as it is.",
            Reason::IncompleteRead
            | Reason::HeldElsewhere
            | Reason::ClocksDisagree
            | Reason::LastUseUnknown => {
                "keyturn created no key and removed none. The pairs in the targets stay as they are."
            }
            Reason::SlotOccupied | Reason::AllHidden | Reason::JournalTaken => {
                "keyturn created no key. The pairs in the targets stay as they are."
            }
            Reason::NoDescriptions => {
                "keyturn created no key. It may have written the journal, the variable named in `KEYTURN_JOURNAL`."
            }
            Reason::Split => "Each target keeps the pair that it holds.",
            Reason::ValueRefused => {
                "If GitLab refused a secret, the key that was created for it is deleted again and the targets keep the old \
                 pair. If it refused an id, the report names the torn pair."
            }
            Reason::Hold
            | Reason::OwnerUnknown
            | Reason::HalfPair
            | Reason::WrongPlace
            | Reason::KeyDisabled
            | Reason::DeadPair
            | Reason::MissingVariable => NO_MORE,
            Reason::KeyOfSomebodyElse => {
                "keyturn wrote nothing of the key to a target, and tried to delete it."
            }
            Reason::GitlabTooOld
            | Reason::RootRefused
            | Reason::SecretBinary
            | Reason::SecretDeleted
            | Reason::SecretUndecryptable
            | Reason::SecretUnknown
            | Reason::TokenExpires => NOTHING,
            Reason::UnclearCreate => {
                "There may be a new key whose secret nobody knows. If the journal shows that it is keyturn's, a later run deletes \
                 it. The targets keep the old pair."
            }
            Reason::Unverified | Reason::KeyNotAccepted | Reason::Yielded => {
                "The key that this run created is deleted again. The targets are as they were."
            }
            Reason::Unpublished => "The key stays in IAM, unused. The targets don't mention it.",
            Reason::WrongVariableAnswered => {
                "Another variable than the one that was meant may hold half of the pair. keyturn sent no further request."
            }
            Reason::Quota => "No key was created.",
            Reason::AccessDenied
            | Reason::AwsRefused
            | Reason::ClockSkew
            | Reason::CredentialExpired
            | Reason::CredentialRefused
            | Reason::CredentialUnusable
            | Reason::InvalidRequest
            | Reason::NoCredential
            | Reason::RegionDisabled
            | Reason::UserUnknown
            | Reason::AmbiguousVariable
            | Reason::GroupUnknown
            | Reason::Moved
            | Reason::NotGitlab
            | Reason::ProjectUnknown
            | Reason::Reference
            | Reason::RequestRefused
            | Reason::Tls
            | Reason::TokenExpired
            | Reason::TokenRefused
            | Reason::TokenRevoked
            | Reason::TokenRole
            | Reason::TokenScope
            | Reason::VariableUnknown
            | Reason::Interrupted
            | Reason::OutOfTime
            | Reason::UnclearWrite
            | Reason::AwsBusy
            | Reason::AwsError
            | Reason::AwsNotAws
            | Reason::AwsThrottled
            | Reason::AwsTimeout
            | Reason::AwsUnreachable
            | Reason::CredentialSource
            | Reason::KeyNotLive
            | Reason::ListBehind
            | Reason::NoDate
            | Reason::NoSuchKey
            | Reason::GitlabAnswerDiffers
            | Reason::GitlabError
            | Reason::GitlabListChanged
            | Reason::GitlabRateLimited
            | Reason::GitlabReadOnly
            | Reason::GitlabTimeout
            | Reason::GitlabUnreachable
            | Reason::Unexpected => STEPS,
            Reason::ApiUrlMalformed
            | Reason::BadSetting
            | Reason::CaFile
            | Reason::CaFileMalformed
            | Reason::CaInvalid
            | Reason::ConfigUnsupported
            | Reason::EnvironmentNotClean
            | Reason::HalfPairNamed
            | Reason::NameMalformed
            | Reason::NoTarget
            | Reason::NotUtf8
            | Reason::Policy
            | Reason::RoleMissing
            | Reason::SameVariable
            | Reason::SecretInSetting
            | Reason::SecretNotJson
            | Reason::SecretValue
            | Reason::TokenMalformed
            | Reason::TokenMissing
            | Reason::UnknownRotation
            | Reason::UserMissing
            | Reason::NoTlsProvider
            | Reason::SettingsUnreadable => NOTHING,
        }
    }

    fn to_do(self) -> &'static str {
        match self {
            Reason::Converged => "Nothing.",
            Reason::Grace | Reason::DeleteAfter | Reason::Quiet => LATER,
            Reason::InUse => {
                "Find who still uses the outgoing key: `aws iam get-access-key-last-used` names the service and the region, \
                 CloudTrail the caller. Give them the new pair."
            }
            Reason::UseOfNewKey => {
                "Run a job that uses the variables for something other than STS, or unset `KEYTURN_REQUIRE_USE`."
            }
            Reason::OrphanAge => {
                "Nothing. A later run deletes the key once no run can be about to publish it."
            }
            Reason::Unconfirmed => {
                "Run keyturn again after the time that the report gives. If the pair still doesn't work, that run replaces it."
            }
            Reason::Hold => "Ask who put `keyturn:hold` there, and remove it when they agree.",
            Reason::IncompleteRead => {
                "Give the GitLab token the role that reading variables needs in every target, or remove the target."
            }
            Reason::OwnerUnknown => {
                "If the pair belongs to another user, set `AWS_IAM_USER` to that user or name other variables. If its key \
                 was deleted, delete both variables and run `keyturn rotate`, signed by a role. Otherwise follow the advice in \
                 the report to write a working pair by hand."
            }
            Reason::HalfPair => {
                "Name both variables in `KEYTURN_ACCESS_KEY_ID_VARIABLE` and `KEYTURN_SECRET_ACCESS_KEY_VARIABLE`, or complete \
                 the pair by hand. If nobody needs the half that is there, delete it."
            }
            Reason::WrongPlace => {
                "Name the group or project and the variables that hold the pair. To start with new variables, create both with \
                 this pair, or let a role sign the run."
            }
            Reason::JournalTaken => {
                "Name another variable in `KEYTURN_JOURNAL`, or unset it. keyturn writes only to a journal of its own."
            }
            Reason::KeyDisabled => {
                "If the key was deactivated by mistake, activate it. If it leaked, delete it in IAM and run `keyturn rotate`."
            }
            Reason::SlotOccupied => {
                "Find who uses that key. Give them a user of their own, or delete the key in IAM when nobody needs it. IAM \
                 allows two access keys per user, and keyturn needs both."
            }
            Reason::Split => {
                "Write the pair of one of the keys into every target by hand, then run keyturn again."
            }
            Reason::HeldElsewhere => {
                "If the other variable has a different name, set its value to `$AWS_ACCESS_KEY_ID` and its secret to \
                 `$AWS_SECRET_ACCESS_KEY`. If it has the same name in another environment scope, delete both halves where the \
                 rotated scope covers those jobs. Or give those jobs a user of their own."
            }
            Reason::DeadPair => "Run `keyturn rotate`, which replaces the pair.",
            Reason::MissingVariable => {
                "Create the variable, or unset `KEYTURN_CREATE` so that keyturn creates it."
            }
            Reason::AllHidden => {
                "Make the secret of one target readable (masked, not hidden), or sign the run with the pair itself."
            }
            Reason::ClocksDisagree => {
                "Correct the clock of the GitLab server. A marker with a time in the future counts once that time has come, or \
                 when the pair is written by hand."
            }
            Reason::LastUseUnknown => "Allow `iam:GetAccessKeyLastUsed` on the user.",
            Reason::ValueRefused => {
                "Check the variable's attributes: GitLab masks only values that fit its masking rule. Turn masking or expansion \
                 off if the rule refuses the value."
            }
            Reason::AccessDenied => {
                "Allow the action on the user, as the policies in [iam-policies.md](iam-policies.md) do. If a role couldn't \
                 be assumed, correct its trust policy."
            }
            Reason::AwsRefused => "Look up the error code in AWS's documentation of the action.",
            Reason::ClockSkew => "Correct the clock of the machine that runs keyturn.",
            Reason::CredentialExpired => "Give keyturn fresh credentials.",
            Reason::CredentialRefused => {
                "Check that the access key is Active and belongs with its secret and its session token, and that the region \
                 is of the same partition. For an ID token, check the identity provider in IAM."
            }
            Reason::CredentialUnusable => {
                "Check `AWS_PROFILE`, the shared configuration files and `AWS_CONTAINER_CREDENTIALS_*`."
            }
            Reason::InvalidRequest => {
                "Check the settings, first the name of the IAM user, then `AWS_REGION` and `AWS_ENDPOINT_URL`."
            }
            Reason::KeyOfSomebodyElse => {
                "Check that the credentials, the account and `AWS_IAM_USER` belong together."
            }
            Reason::NoCredential => {
                "Set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `KEYTURN_ID_TOKEN` and `AWS_ROLE_ARN`."
            }
            Reason::RegionDisabled => {
                "Activate STS for the region in the account's settings, or set `AWS_REGION` to another region."
            }
            Reason::RootRefused => {
                "Delete the root user's access keys, and run keyturn as an IAM user or a role."
            }
            Reason::SecretBinary => "Store the secret as text (`SecretString`).",
            Reason::SecretDeleted => "Restore the secret, or name another.",
            Reason::SecretUndecryptable => {
                "Allow `kms:Decrypt` with the secret's KMS key to whoever runs keyturn."
            }
            Reason::SecretUnknown => "Check the name, the region and the account.",
            Reason::UserUnknown => "Check `AWS_IAM_USER` and the account of the credentials.",
            Reason::AmbiguousVariable => {
                "Set `KEYTURN_ENVIRONMENT_SCOPE` to the scope of the pair, and leave one variable of each name in that scope."
            }
            Reason::GitlabTooOld | Reason::NoDescriptions => "Use GitLab 16.9 or newer.",
            Reason::GroupUnknown => {
                "Check that the token may see the group and that the path is current: GitLab doesn't redirect the old path of \
                 a renamed group. Its number survives renaming."
            }
            Reason::ProjectUnknown => {
                "Check that the token may see the project. Its number survives renaming."
            }
            Reason::Moved => {
                "Use the project's number, and the API root that GitLab shows in `CI_API_V4_URL`."
            }
            Reason::NotGitlab => {
                "Check that `GITLAB_API_URL` is an API root ending in `/api/v4`, and that no proxy or sign-in page answers in \
                 GitLab's place."
            }
            Reason::Reference => {
                "Name the variable that it refers to in `KEYTURN_ACCESS_KEY_ID_VARIABLE` or \
                 `KEYTURN_SECRET_ACCESS_KEY_VARIABLE`."
            }
            Reason::RequestRefused => "Change what GitLab's answer names, then run keyturn again.",
            Reason::Tls => {
                "If a private authority issued the certificate, give the authority's certificate in `KEYTURN_CA_FILE` (AWS: \
                 `AWS_CA_BUNDLE`). Renew an expired certificate. A server's own certificate must not be that of an authority."
            }
            Reason::TokenExpired | Reason::TokenRevoked | Reason::TokenExpires => {
                "Create a new token with the scope `api` and set `GITLAB_TOKEN` to it."
            }
            Reason::TokenRefused => {
                "Set `GITLAB_TOKEN` to a personal, group or project access token of this GitLab. A `CI_JOB_TOKEN` can't read \
                 variables."
            }
            Reason::TokenRole => {
                "Give the token the role Owner in a group, or Maintainer in a project; reading variables needs it, too."
            }
            Reason::TokenScope => "Create a token with the scope `api`; `read_api` can't write variables.",
            Reason::VariableUnknown => {
                "Find out who deleted the variable, create it again, then run keyturn again."
            }
            Reason::WrongVariableAnswered => {
                "Compare the variable that the message names with what it should hold, and correct it by hand."
            }
            Reason::UnclearCreate => "Run keyturn again in an hour, or leave it to the schedule.",
            Reason::AwsNotAws | Reason::AwsUnreachable => {
                "Check the network, `HTTPS_PROXY`, `AWS_REGION` and `AWS_ENDPOINT_URL`, then run keyturn again; it is safe."
            }
            Reason::GitlabUnreachable => {
                "Check the network and `GITLAB_API_URL`, then run keyturn again; it is safe."
            }
            Reason::Interrupted
            | Reason::OutOfTime
            | Reason::UnclearWrite
            | Reason::Unverified
            | Reason::Yielded
            | Reason::Unpublished
            | Reason::AwsBusy
            | Reason::AwsError
            | Reason::AwsThrottled
            | Reason::AwsTimeout
            | Reason::CredentialSource
            | Reason::KeyNotAccepted
            | Reason::KeyNotLive
            | Reason::ListBehind
            | Reason::NoDate
            | Reason::NoSuchKey
            | Reason::Quota
            | Reason::GitlabAnswerDiffers
            | Reason::GitlabError
            | Reason::GitlabListChanged
            | Reason::GitlabRateLimited
            | Reason::GitlabReadOnly
            | Reason::GitlabTimeout => AGAIN,
            Reason::ApiUrlMalformed => {
                "Set it to the API root, such as `https://gitlab.example.com/api/v4`, without user, query or fragment."
            }
            Reason::BadSetting => "Change the setting as the report's advice says.",
            Reason::CaFile | Reason::CaFileMalformed | Reason::CaInvalid => {
                "Name a readable PEM file with one or more certificates (`BEGIN CERTIFICATE`)."
            }
            Reason::ConfigUnsupported => {
                "Unset it, and give the settings of one rotation in the environment or in a secret."
            }
            Reason::EnvironmentNotClean => "Correct the variables that the message names, or unset them.",
            Reason::HalfPairNamed => "Name both variables of the pair, or neither.",
            Reason::NameMalformed => "Check the names of the group, the project and the variables.",
            Reason::NoTarget => "Set one or both, to the number or the full path of the group or project.",
            Reason::NotUtf8 => "Set it again. Its value was probably pasted or decoded wrongly.",
            Reason::Policy => {
                "Change `KEYTURN_GRACE`, `KEYTURN_LONGEST_JOB`, `KEYTURN_ROTATE_AFTER`, `KEYTURN_DELETE_AFTER` or \
                 `KEYTURN_MAX_AGE` until the inequality in the message holds."
            }
            Reason::RoleMissing => {
                "Set `AWS_ROLE_ARN` to the role that trusts GitLab's ID token, or unset `KEYTURN_ID_TOKEN`."
            }
            Reason::SameVariable => {
                "Give each a name of its own: `KEYTURN_ACCESS_KEY_ID_VARIABLE`, `KEYTURN_SECRET_ACCESS_KEY_VARIABLE`, \
                 `KEYTURN_JOURNAL`."
            }
            Reason::SecretInSetting => {
                "Correct the setting. Replace the secret if the value was logged anywhere."
            }
            Reason::SecretNotJson => {
                "Store a JSON object in it, such as `{\"GITLAB_TOKEN\": \"…\", \"GITLAB_GROUP_ID\": \"42\"}`."
            }
            Reason::SecretValue => "Make it a string, a number or a boolean.",
            Reason::TokenMalformed => "Set it again, to the token alone.",
            Reason::TokenMissing => {
                "Set it. A protected variable is empty in pipelines of unprotected branches."
            }
            Reason::UnknownRotation => "Ask for a rotation that exists: it is named after its IAM user.",
            Reason::UserMissing => "Set `AWS_IAM_USER` to the user whose key is to be rotated.",
            Reason::NoTlsProvider | Reason::SettingsUnreadable | Reason::Unexpected => DEFECT,
        }
    }
}

impl Class {
    /// What reports call it, and the exit code of a run whose worst ending it is, for the documentation.
    pub fn heading(self) -> &'static str {
        match self {
            Class::Converged => "Converged: exit code 0",
            Class::Waiting => "Waiting: exit code 0",
            Class::Blocked => "Blocked: exit code 3",
            Class::Incomplete => "Incomplete: exit code 4",
            Class::Settings => "Settings: exit code 2",
            Class::Unexpected => "Internal error: exit code 1",
        }
    }
}
