//! Figures of the process itself: memory, CPU, descriptors, threads.

use std::time::{Duration, Instant};

use metrics::{Counter, Gauge};
use metrics_process::collector::{self, Metrics as Figures};

use crate::collector::{CollectError, Collector};
use crate::metric::Metric;
use crate::recorder::Handle;

/// Fills `daemon_memory_usage_bytes`, `daemon_cpu_usage_percent` and the
/// `process_*` family. [`Recorder::install`](crate::Recorder::install) adds one.
///
/// Resident memory is what `/proc/self/stat` says: Linux adds up only from time to
/// time what each core has booked, so that it can be some hundred KiB away from the
/// `VmRSS` of `/proc/self/status`.
pub struct ProcessCollector {
    /// Where the figures come from, and when they were taken.
    read: Box<dyn FnMut() -> (Figures, Duration) + Send>,
    before: Option<CpuSample>,
    cpu_percent: Gauge,
    cpu_seconds: Counter,
    memory: Figure,
    others: [Figure; 7],
}

impl ProcessCollector {
    /// One for this process. A platform that does not know a figure leaves it
    /// at 0.
    pub fn new(recorder: &Handle) -> Self {
        let start = Instant::now();
        Self::reading(recorder, move || (collector::collect(), start.elapsed()))
    }

    fn reading(
        recorder: &Handle,
        read: impl FnMut() -> (Figures, Duration) + Send + 'static,
    ) -> Self {
        let figure = |metric| Figure {
            gauge: recorder.gauge(metric, &[]),
            known: false,
        };
        Self {
            read: Box::new(read),
            before: None,
            cpu_percent: recorder.gauge(Metric::DaemonCpu, &[]),
            cpu_seconds: recorder.counter(Metric::ProcessCpu, &[]),
            memory: figure(Metric::DaemonMemory),
            others: [
                Metric::ProcessResidentMemory,
                Metric::ProcessVirtualMemory,
                Metric::ProcessVirtualMemoryMax,
                Metric::ProcessOpenFds,
                Metric::ProcessMaxFds,
                Metric::ProcessStartTime,
                Metric::ProcessThreads,
            ]
            .map(figure),
        }
    }

    /// True if the CPU time is known.
    fn set_cpu(&mut self, cpu_seconds: Option<f64>, at: Duration) -> bool {
        let Some(cpu_seconds) = cpu_seconds else {
            return false;
        };
        let now = CpuSample { cpu_seconds, at };
        if let Some(percent) = self.before.and_then(|before| cpu_percent(before, now)) {
            self.cpu_percent.set(percent);
        }
        self.before = Some(now);
        // Counters of the exporter are whole numbers; this is why the percentage
        // is not derived from it.
        self.cpu_seconds.absolute(cpu_seconds as u64);
        true
    }
}

impl Collector for ProcessCollector {
    fn name(&self) -> &'static str {
        "process"
    }

    fn collect(&mut self, _: &Handle) -> Result<(), CollectError> {
        let (figures, at) = (self.read)();
        let values = [
            figures.resident_memory_bytes,
            figures.virtual_memory_bytes,
            figures.virtual_memory_max_bytes,
            figures.open_fds,
            figures.max_fds,
            figures.start_time_seconds,
            figures.threads,
        ];
        let mut complete = self.set_cpu(figures.cpu_seconds_total, at);
        self.memory.set(figures.resident_memory_bytes);
        complete &= figures.resident_memory_bytes.is_some();
        for (figure, value) in self.others.iter_mut().zip(values) {
            complete &= figure.set(value);
        }
        if complete {
            Ok(())
        } else {
            Err("the system does not tell all figures of the process".into())
        }
    }
}

/// The CPU time that a process had used at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuSample {
    /// User and system time together, in seconds.
    pub cpu_seconds: f64,
    /// When, on a clock that only goes forward.
    pub at: Duration,
}

/// CPU use between two samples in percent; 100 is one core. `None` if no time
/// has passed.
///
/// ```
/// use std::time::Duration;
/// use telemetry_metrics::{CpuSample, cpu_percent};
///
/// let before = CpuSample { cpu_seconds: 8.0, at: Duration::from_secs(100) };
/// let after = CpuSample { cpu_seconds: 14.0, at: Duration::from_secs(104) };
/// assert_eq!(cpu_percent(before, after), Some(150.0));
/// ```
pub fn cpu_percent(before: CpuSample, after: CpuSample) -> Option<f64> {
    let wall = after.at.checked_sub(before.at)?.as_secs_f64();
    let cpu = after.cpu_seconds - before.cpu_seconds;
    // Some kernels let the sum of user and system time go back by a tick.
    (wall > 0.0).then(|| (cpu.max(0.0) / wall) * 100.0)
}

/// A gauge that keeps its value when there is no new one.
struct Figure {
    gauge: Gauge,
    known: bool,
}

impl Figure {
    /// False if a figure that was known before is missing.
    fn set(&mut self, value: Option<u64>) -> bool {
        let Some(value) = value else {
            return !self.known;
        };
        self.known = true;
        self.gauge.set(value as f64);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_seconds: f64, at_millis: u64) -> CpuSample {
        CpuSample {
            cpu_seconds,
            at: Duration::from_millis(at_millis),
        }
    }

    #[test]
    fn percent_is_cpu_time_over_wall_time() {
        assert_eq!(cpu_percent(sample(1.0, 0), sample(1.0, 15_000)), Some(0.0));
        assert_eq!(
            cpu_percent(sample(1.0, 0), sample(16.0, 15_000)),
            Some(100.0)
        );
        assert_eq!(
            cpu_percent(sample(0.5, 1_000), sample(0.625, 1_500)),
            Some(25.0)
        );
        assert_eq!(cpu_percent(sample(0.0, 0), sample(8.0, 2_000)), Some(400.0));
    }

    #[test]
    fn percent_is_unknown_when_no_time_has_passed() {
        assert_eq!(cpu_percent(sample(1.0, 5), sample(2.0, 5)), None);
        assert_eq!(cpu_percent(sample(1.0, 5), sample(2.0, 4)), None);
    }

    #[test]
    fn percent_is_never_negative() {
        assert_eq!(cpu_percent(sample(1.01, 0), sample(1.0, 1_000)), Some(0.0));
    }

    fn figures(cpu: f64, memory: u64) -> Figures {
        Figures {
            cpu_seconds_total: Some(cpu),
            resident_memory_bytes: Some(memory),
            threads: Some(7),
            ..Figures::default()
        }
    }

    fn shows(handle: &Handle, line: &str) {
        let text = handle.render();
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }

    #[test]
    fn lost_figures_keep_their_last_values_and_are_counted() {
        let handle = Handle::build(&[]).unwrap();
        let mut answers = vec![
            (figures(2.0, 1000), Duration::from_secs(0)),
            (figures(3.0, 2000), Duration::from_secs(10)),
            (Figures::default(), Duration::from_secs(20)),
            (figures(9.0, 3000), Duration::from_secs(30)),
        ]
        .into_iter();
        let read = move || answers.next().unwrap();
        handle.collect_at_intervals(ProcessCollector::reading(&handle, read));
        shows(&handle, "daemon_cpu_usage_percent 0");
        handle.collect();
        handle.collect();
        shows(&handle, "daemon_cpu_usage_percent 10");
        shows(&handle, "daemon_memory_usage_bytes 2000");
        shows(&handle, "process_threads 7");
        shows(
            &handle,
            "telemetry_collection_errors_total{collector=\"process\"} 1",
        );
        handle.collect();
        // 6 seconds of CPU over the 20 seconds since the last known sample.
        shows(&handle, "daemon_cpu_usage_percent 30");
        shows(&handle, "daemon_memory_usage_bytes 3000");
        shows(&handle, "process_cpu_seconds_total 9");
        shows(
            &handle,
            "telemetry_collection_errors_total{collector=\"process\"} 1",
        );
    }

    #[test]
    fn figures_of_this_process_are_real() {
        let handle = Handle::build(&[]).unwrap();
        handle.collect_at_intervals(ProcessCollector::new(&handle));
        let text = handle.render();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split(' ').nth(1).unwrap().parse().unwrap()
        };
        assert!(value("daemon_memory_usage_bytes ") > 100_000.0);
        assert!(value("process_start_time_seconds ") > 1e9);
    }
}
