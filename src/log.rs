//! The log, on stderr. What it may say is bounded by types: secrets can't be formatted.

use std::fmt;
use std::io::Write;
use std::panic::PanicHookInfo;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people and for the log of a job.
    Text,
    /// One JSON object a line, for CloudWatch.
    Json,
}

/// Starts the log with a filter such as `info` or `warn,keyturn=debug`.
pub fn start(filter: Targets, form: Form) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time();
    let lines = match form {
        Form::Text => lines.boxed(),
        Form::Json => lines.event_format(JsonLines).and_then(SpanMembers).boxed(),
    };
    if form == Form::Json {
        std::panic::set_hook(Box::new(|panic| {
            let _ = writeln!(std::io::stderr(), "{}", panicked(panic));
        }));
    }
    // A second call, in tests, finds a log in place and keeps it.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// What is logged in it says `rotation=NAME`, at every level.
pub fn of_rotation(name: &str) -> Span {
    tracing::error_span!("run", rotation = %name)
}

/// The line of a panic. It is not left to the log, which may be what panicked.
fn panicked(panic: &PanicHookInfo<'_>) -> Value {
    let message = panic.payload_as_str().unwrap_or("it said nothing");
    let at = panic.location().map(ToString::to_string);
    serde_json::json!({"level": "error", "message": format!("a defect: panicked: {message}"), "at": at})
}

/// `{"level":"info","message":"…","rotation":"…","step":"create","key":"AKIA…"}`; when it was said, the log itself knows.
struct JsonLines;

/// Keeps the fields of a span for the lines that are logged in it.
struct SpanMembers;

impl<S> Layer<S> for SpanMembers
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        // A library's field may have the name of a member.
        if attributes.metadata().target() != module_path!() {
            return;
        }
        let mut members = Members::default();
        attributes.record(&mut members);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(members);
        }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut members = Members::default();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(Members(of_span)) = span.extensions().get() {
                members.0.extend(of_span.clone());
            }
        }
        event.record(&mut members);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        members.0.insert("level".to_owned(), Value::from(level));
        writeln!(writer, "{}", Value::Object(members.0))
    }
}

#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Members {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_json_object_whatever_it_says() {
        let sink = Sink::default();
        let of = sink.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || of.clone())
            .event_format(JsonLines)
            .and_then(SpanMembers);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::info!(
                step = "create",
                key = Some("AKIAIOSFODNN7EXAMPLE"),
                target = None::<String>,
                "two\nlines and a \""
            );
            let _in_rotation = of_rotation("deploy").entered();
            tracing::warn!(left = 3_u64, last = true, "{}", "so");
        });
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let expected = serde_json::json!([
            {"level": "info", "step": "create", "key": "AKIAIOSFODNN7EXAMPLE", "message": "two\nlines and a \""},
            {"level": "warn", "left": 3, "last": true, "message": "so", "rotation": "deploy"},
        ]);
        assert_eq!(Value::Array(lines), expected);
    }
}
