//! What goes wrong in a world, and how it is mended.

use std::time::Duration;

use fastrand::Rng;

use super::model::Setup;
use super::network::{Surprise, Weather};
use super::plan::Fault;
use super::watched::lock;
use super::world::World;
use crate::delivery::Time;

/// A spool that failed may take this long to be whole again.
pub(super) const DISK_RECOVERS_WITHIN: Duration = Duration::from_secs(15);

impl World {
    /// One of the faults of this world happens.
    pub(super) fn fault(&mut self) {
        let Some(&fault) = self.rng.choice(&self.plan.faults) else {
            return;
        };
        let lasts = self.now + self.millis(self.plan.fault_lasts);
        self.tell(|_| format!("{fault:?} until {lasts:?}"));
        match fault {
            Fault::ServerDies => self.network.lock().is_up = false,
            Fault::ServerHangs => self.set_weather(Weather {
                late: 100,
                ..Weather::default()
            }),
            Fault::Weather => {
                let weather = weather(&mut self.rng);
                self.set_weather(weather);
            }
            Fault::AnswersLost => {
                let weather = Weather {
                    lost: self.rng.u8(..50),
                    answer_lost: self.rng.u8(20..80),
                    ..Weather::default()
                };
                self.set_weather(weather);
            }
            Fault::ServerDiskFull => self.network.lock().model.setup.disk_full = true,
            Fault::ServerChanges => {
                let (hook, batch) = self.other_ways();
                let setup = &mut self.network.lock().model.setup;
                (setup.hook, setup.batch) = (hook, batch);
            }
            Fault::ServerChangesAtWork => {
                let (hook, batch) = self.other_ways();
                self.surprise(Surprise::Ways { hook, batch });
            }
            Fault::RuleRefuses => self.network.lock().model.setup.allows = false,
            Fault::CollectionGone => self.network.lock().model.setup.collection = false,
            Fault::RateLimit => {
                let limit = self.rng.u32(1..30);
                self.network.lock().model.setup.rate_limit = Some(limit);
            }
            Fault::TokensDie => self.network.lock().model.generation += 1,
            Fault::TokensDieAtWork => self.surprise(Surprise::TokensDie),
            Fault::Stopped => self.stop(),
            Fault::ClockJumps => self.jump(),
            Fault::KilledAtWork => {
                let requests = self.rng.u32(..4);
                self.network.lock().dies_in = Some(requests);
            }
            Fault::Killed => {
                self.sights.note("killed");
                self.kill();
            }
            _ => self.disk_fault(fault, lasts),
        }
        self.mends.push((lasts, fault));
    }

    fn disk_fault(&mut self, fault: Fault, lasts: Time) {
        self.disk_trouble_until = lasts + DISK_RECOVERS_WITHIN;
        match fault {
            Fault::DiskFull => self.disk.set_full(true),
            Fault::DiskFails => self.disk.fail_in(self.rng.u32(..30)),
            Fault::DiskRots => {
                lock(&self.shared).0.is_rotten = true;
                self.kill();
                self.disk.rots(&mut self.rng);
            }
            Fault::KilledInWrite => self.die_in_write_soon(true),
            Fault::PowerFailsInWrite => self.die_in_write_soon(false),
            Fault::PowerFails => {
                self.sights.note("power cut");
                self.kill();
                self.disk.power_fails(&mut self.rng);
            }
            _ => {}
        }
    }

    fn die_in_write_soon(&mut self, has_power: bool) {
        if self.process.is_some() && !self.plan.in_memory {
            self.disk.die_in(self.rng.u32(1..40), has_power);
        }
    }

    fn set_weather(&mut self, weather: Weather) {
        self.network.lock().weather = weather;
    }

    fn surprise(&mut self, surprise: Surprise) {
        let requests = self.rng.u32(..6);
        self.network.lock().surprise_in = Some((requests, surprise));
    }

    fn other_ways(&mut self) -> (bool, Option<usize>) {
        let batch = self.rng.bool().then(|| self.rng.usize(1..100));
        (self.rng.bool(), batch)
    }

    /// The calendar of the client jumps.
    fn jump(&mut self) {
        let error = self.rng.i64(-200_000..200_000);
        let before = std::mem::replace(&mut self.network.lock().calendar_error, error);
        self.sights.note(if error < before {
            "clock jumped back"
        } else {
            "clock jumped forward"
        });
    }

    /// Faults whose time is over end.
    pub(super) fn mend(&mut self) {
        if self.mends.iter().all(|(at, _)| *at > self.now) {
            return;
        }
        let (due, later) = std::mem::take(&mut self.mends)
            .into_iter()
            .partition(|(at, _)| *at <= self.now);
        self.mends = later;
        let due: Vec<(Time, Fault)> = due;
        let mut network = self.network.lock();
        for (_, fault) in due {
            let setup = &mut network.model.setup;
            match fault {
                Fault::ServerDies => network.is_up = true,
                Fault::ServerHangs | Fault::Weather | Fault::AnswersLost => {
                    network.weather = Weather::default();
                }
                Fault::ServerDiskFull => setup.disk_full = false,
                Fault::RuleRefuses => setup.allows = true,
                Fault::CollectionGone => setup.collection = true,
                Fault::RateLimit => setup.rate_limit = None,
                Fault::DiskFull => self.disk.set_full(false),
                _ => {}
            }
        }
    }

    /// Everything that is broken works again.
    pub(super) fn heal(&mut self) {
        self.tell(|world| format!("everything heals; {:?}", world.plan));
        self.mends.clear();
        self.disk.heal();
        let mut network = self.network.lock();
        network.is_up = true;
        network.weather = Weather::default();
        network.dies_in = None;
        network.surprise_in = None;
        network.model.setup = Setup {
            hook: network.model.setup.hook,
            batch: network.model.setup.batch,
            ..self.plan.setup.clone()
        };
    }
}

fn weather(rng: &mut Rng) -> Weather {
    let mut percent = || if rng.bool() { rng.u8(..30) } else { 0 };
    Weather {
        lost: percent(),
        answer_lost: percent(),
        late: percent(),
        proxy: percent(),
        throttled: percent(),
    }
}
