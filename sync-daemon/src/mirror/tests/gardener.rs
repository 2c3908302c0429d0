//! Random trees of few names, so that two of them clash in every way.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;

use rustix::fs::Mode;

use super::*;

/// Grows random trees of few names, so that two of them clash in every way.
pub(super) struct Gardener {
    random: fastrand::Rng,
    names: Vec<Vec<u8>>,
}

impl Gardener {
    pub(super) fn new(seed: u64) -> Self {
        let names: [&[u8]; 9] = [
            b"a",
            b"-rf",
            b"\xff\xfe\x80",
            b"new\nline",
            b" ",
            b".hidden",
            b"x.tmp",
            b".a.AbC123",
            "\u{202e}gpj".as_bytes(),
        ];
        let mut names: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
        names.push(vec![b'n'; 255]);
        Self {
            random: fastrand::Rng::with_seed(seed),
            names,
        }
    }

    pub(super) fn grow(&mut self, directory: &Path, depth: u32) {
        for name in self.names.clone() {
            if self.random.u8(..10) < 6 {
                self.plant(&directory.join(OsStr::from_bytes(&name)), depth);
            }
        }
        set_mode(directory, self.pick(&[0o755, 0o700, 0o555, 0o2750]));
        self.age(directory);
    }

    fn plant(&mut self, path: &Path, depth: u32) {
        match self.random.u8(..10) {
            0..4 => {
                // Equal size and time mean equal content, or nobody could tell files apart.
                let size = self.pick(&[0, 1, 5000]);
                fs::write(path, vec![b'x'; size]).expect("write");
                set_mode(path, self.pick(&[0o644, 0o400, 0o4755, 0o600]));
                self.age(path);
            }
            4..6 => {
                let target = self.pick(&["/", "nowhere", "a", "../.."]);
                symlink(target, path).expect("symlink");
                self.age(path);
            }
            6 => rustix::fs::mkfifoat(CWD, path, Mode::RUSR).expect("mkfifo"),
            _ => {
                fs::create_dir(path).expect("mkdir");
                let depth = depth.saturating_sub(1);
                if depth > 0 {
                    self.grow(path, depth);
                }
            }
        }
    }

    fn age(&mut self, path: &Path) {
        let secs = self.pick(&[-1, 0, 1_700_000_000, 4_294_967_297]);
        let nanos = self.pick(&[0, 1, 999_999_999]);
        set_mtime(path, secs, nanos);
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.usize(..choices.len())]
    }
}
