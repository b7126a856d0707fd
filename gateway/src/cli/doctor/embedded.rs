//! An embedded store: the file system it lies on, the room there, and who may read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statfs, statvfs};
use token_store::OpenError;
use token_store::embedded::inspect::{Inspected, inspect};
use token_store::nonce::far_ahead;

use super::running::Running;
use super::{ALL_KEYS, About, Finding};
use crate::cli::with_causes;
use crate::clock::Clock;
use crate::config::Config;
use crate::observe::unsure_until;

pub(super) fn examine(config: &Config, running: &Running, clock: Clock) -> Vec<Finding> {
    let folder = PathBuf::from(config.store.url.strip_prefix("embedded:").unwrap_or_default());
    let about = About::new("store", format!("embedded {}", folder.display()));
    let mut findings = Vec::new();
    // A gateway that has this store open has its control socket there.
    let is_open = running.store().is_some() && folder.join("control.sock").exists();
    if running.store().is_some() && !is_open {
        findings.push(about.fail(
            format!(
                "the gateway that runs at {} has another store open",
                config.admin.listen
            ),
            "run the doctor in that gateway's working directory, to which store.url is relative, or correct store.url",
        ));
    }
    if let Some(status) = running.store().filter(|_| is_open) {
        findings.push(if status == "ok" {
            about.ok("is open in the running gateway, and answers")
        } else {
            let cure = if status.contains("replay_unsure") {
                RIGHT_CLOCK
            } else {
                "see the gateway's log"
            };
            about.fail(format!("the running gateway says: {status}"), cure)
        });
    }
    // Before the first start it is not there yet: what will hold it is.
    let Some(place) = existing(&folder) else {
        findings.push(about.fail("no part of its path is there", "correct store.url"));
        return findings;
    };
    findings.push(file_system(&about, place));
    findings.push(room(&about, place));
    findings.push(rights(&about, &folder, place));
    // What a running gateway has open is its own to say.
    if !is_open {
        findings.extend(contents(&about, &folder, config, clock.now()));
    }
    findings
}

/// Whether a start could open it. Nothing is said of one that is not there yet.
fn contents(about: &About, folder: &Path, config: &Config, now: u64) -> Option<Finding> {
    let keys = &config.store.encryption_keys;
    let missing = keys.is_empty() && !folder.join("encryption.key").exists();
    match inspect(folder, keys) {
        Ok(Inspected::Absent) => None,
        Ok(Inspected::Sound { floor }) => Some(match far_ahead(floor, now) {
            None => about.ok("can be read, and its key opens it"),
            Some(until) => about.fail(unsure_until(until), RIGHT_CLOCK),
        }),
        Ok(Inspected::Unclean) => Some(about.ok("was not closed by its last process: the next start repairs it")),
        Err(OpenError::Locked(_)) => Some(about.warn(
            "is open in another process, which does not answer on the admin listener",
            "ask the gateway that has it open",
        )),
        Err(OpenError::WrongKey) if missing => Some(about.fail(
            "encryption.key is missing: without it nobody can read what the store holds",
            "restore it from the backup of the store, or set store.encryption_keys",
        )),
        Err(error @ (OpenError::WrongKey | OpenError::KeyMissing)) => Some(about.fail(with_causes(&error), ALL_KEYS)),
        Err(error @ (OpenError::Damaged(..) | OpenError::Emptied(_) | OpenError::Store(_))) => {
            Some(about.fail(with_causes(&error), "restore a backup"))
        }
        Err(error) => Some(about.fail(
            with_causes(&error),
            "see that this user may read and write the store, with the key that it was made with",
        )),
    }
}

fn existing(folder: &Path) -> Option<&Path> {
    folder
        .ancestors()
        .map(|place| {
            if place.as_os_str().is_empty() {
                Path::new(".")
            } else {
                place
            }
        })
        .find(|place| place.exists())
}

fn file_system(about: &About, place: &Path) -> Finding {
    let of_one_machine = "put the store on a disk of this machine, or use Redis";
    // The magic numbers of statfs(2).
    match statfs(place).map(|found| found.f_type) {
        Ok(0x6969 | 0x517B | 0x_FF53_4D42 | 0x_FE53_4D42 | 0x0102_1997) => about.fail(
            "lies on a network file system, which may lose locks and writes",
            of_one_machine,
        ),
        Ok(0x0102_1994 | 0x8584_58F6) => {
            about.warn("lies in memory (tmpfs): a reboot loses everything", of_one_machine)
        }
        Ok(0x794C_7630) => about.warn(
            "lies in a container's own layer: it is gone with the container",
            "mount a volume where the store lies",
        ),
        Ok(_) => about.ok("lies on a file system of this machine"),
        Err(error) => about.fail(format!("its file system can't be asked: {error}"), "correct store.url"),
    }
}

fn room(about: &About, place: &Path) -> Finding {
    let free = statvfs(place).map(|found| found.f_bavail.saturating_mul(found.f_frsize) / MIB);
    match free {
        Ok(free) if free < LEAST => about.fail(
            format!("{free} MiB are free: the store stops when there are none"),
            "make room on the disk",
        ),
        Ok(free) if free < ENOUGH => about.warn(format!("{free} MiB are free"), "make room on the disk"),
        Ok(free) => about.ok(format!("{free} MiB are free")),
        Err(error) => about.fail(format!("its disk can't be asked: {error}"), "correct store.url"),
    }
}

fn rights(about: &About, folder: &Path, place: &Path) -> Finding {
    if access(place, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return about.fail(
            format!("this user may not write in {}", place.display()),
            "run doctor as the gateway's user; if it is, make the folder its own",
        );
    }
    if place != folder {
        return about.ok("will be made at the first start");
    }
    let open_to_others = [folder.to_owned(), folder.join("encryption.key")]
        .into_iter()
        .find(|path| std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0));
    match open_to_others {
        Some(path) => about.warn(
            format!("{} is open to other users of this machine", path.display()),
            format!("chmod go= {}", path.display()),
        ),
        None => about.ok("is open to its owner only"),
    }
}

/// The cure of a floor that lies far ahead.
const RIGHT_CLOCK: &str = "correct this machine's clock, stop the gateway, run `countersign store init`";
const MIB: u64 = 1024 * 1024;
/// Mebibytes.
const LEAST: u64 = 64;
const ENOUGH: u64 = 1024;

#[cfg(test)]
mod tests {
    use token_store::{OpenOptions, open};

    use super::super::State::{Fail, Ok};
    use super::*;
    use crate::config::Environment;

    const NOW: u64 = 1_800_000_000;

    #[tokio::test]
    async fn a_floor_that_a_clock_put_far_ahead_is_told_with_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            url: format!("embedded:{}", folder.path().display()),
            encryption_keys: Vec::new(),
            timeout: std::time::Duration::from_secs(1),
            connect_timeout: std::time::Duration::from_secs(1),
            cache: 10,
            now: NOW,
            serves: false,
        };
        let (config, _) = Config::parse("", "test", &Environment::default()).unwrap();
        let store = open(&options).await.unwrap();
        store.raise_floor(NOW + 90_000).await.unwrap();
        store.close().await.unwrap();
        drop(store);

        let about = About::new("store", "x");
        let told = contents(&about, folder.path(), &config, NOW).unwrap();
        let later = contents(&about, folder.path(), &config, NOW + 90_000).unwrap();

        assert_eq!((told.state, later.state), (Fail, Ok), "{told:?}");
        assert!(told.found.contains("up to 2027-01-16 09:00:00 UTC"), "{}", told.found);
        assert!(told.cure.unwrap().ends_with("run `countersign store init`"));
    }
}
