//! What a run tells the log.

use super::*;

/// Collects events as `span: message path operation`.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<Mutex<Vec<String>>>);

impl<S> tracing_subscriber::Layer<S> for Log
where
    S: tracing::Subscriber + for<'l> tracing_subscriber::registry::LookupSpan<'l>,
{
    fn on_event(
        &self,
        event: &tracing::Event<'_>,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flatten();
        let names: Vec<_> = spans.map(|span| span.name()).collect();
        let line = format!(
            "{} {} {}",
            names.join("<"),
            event.metadata().level(),
            fields.0
        );
        self.0.lock().expect("lock").push(line);
    }
}

#[derive(Default)]
struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?};", field.name()));
    }
}

#[test]
fn each_entry_is_one_debug_event_inside_the_span_of_the_job() {
    use tracing_subscriber::layer::SubscriberExt;
    let fixture = Fixture::new();
    write(&fixture.source.join("new\nline"), "12");
    write(&fixture.destination.join("old"), "1");
    let log = Log::default();
    // While there is only one subscriber, tracing asks that of the current thread whether a
    // callsite is of interest; a test beside this one has none, and would switch it off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let subscriber = tracing_subscriber::registry().with(log.clone());
    tracing::subscriber::with_default(subscriber, || {
        let job = tracing::info_span!("job");
        job.in_scope(|| fixture.run(&deleting()));
    });
    let lines = log.0.lock().expect("lock").clone();
    let debug: Vec<_> = lines.iter().filter(|line| line.contains("DEBUG")).collect();
    assert_eq!(debug.len(), 2, "{lines:#?}");
    let created =
        "apply<job DEBUG message=entry synced;path=new\\nline;operation=\"created\";bytes=2;";
    let deleted = "apply<job DEBUG message=entry synced;path=old;operation=\"deleted\";bytes=0;";
    assert_eq!(debug, [created, deleted]);
    let looked_at = lines
        .iter()
        .filter(|line| line.starts_with("scan<job TRACE"));
    assert_eq!(looked_at.count(), 1);
}
