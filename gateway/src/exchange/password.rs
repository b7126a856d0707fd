//! Passwords: Argon2id, off the runtime's threads, no more at once than there are cores.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use token_store::Secret;
use tokio::sync::Semaphore;

/// Hashes and verifies.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Of a password nobody has: what an unknown user's is verified against, so that timing tells nothing.
    dummy: Arc<String>,
}

/// A password could not be hashed: no randomness, or a thread that died.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct HashFailed;

impl Passwords {
    /// Makes the dummy once.
    pub fn new() -> Result<Self, HashFailed> {
        let turns = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            turns: Arc::new(Semaphore::new(turns)),
            dummy: Arc::new(hash(b"nobody's password")?),
        })
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: &Secret) -> Result<Secret, HashFailed> {
        let password = password.clone();
        let hashed = self.in_turn(move || hash(password.expose().as_bytes())).await?;
        Ok(Secret::new(hashed?))
    }

    /// Whether it is the password. `None`: there is no such user; the same work, and `false`.
    pub async fn verify(&self, password: &Secret, hash: Option<&Secret>) -> Result<bool, HashFailed> {
        let (password, known) = (password.clone(), hash.is_some());
        let expected = hash.map_or_else(|| self.dummy.as_str().to_owned(), |hash| hash.expose().to_owned());
        let verifies = move || {
            Argon2::default()
                .verify_password(password.expose().as_bytes(), expected.as_str())
                .is_ok()
        };
        Ok(self.in_turn(verifies).await? && known)
    }

    /// The turn is the work's, not the asker's: a client that goes away leaves the work behind, and the next one waits for
    /// it.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashFailed> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| HashFailed)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.map_err(|_| HashFailed)
    }
}

fn hash(password: &[u8]) -> Result<String, HashFailed> {
    let mut salt = [0; 16];
    crate::random::fill(&mut salt).map_err(|_| HashFailed)?;
    let hashed = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .map_err(|_| HashFailed)?;
    Ok(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(&Secret::new("correct horse")).await.unwrap();

        assert!(hash.expose().starts_with("$argon2id$"));
        assert!(
            passwords
                .verify(&Secret::new("correct horse"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(&Secret::new("correct hors"), Some(&hash))
                .await
                .unwrap()
        );
        assert!(!passwords.verify(&Secret::new("nobody's password"), None).await.unwrap());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_keeps_its_turn_until_it_is_done() {
        let passwords = Passwords::new().unwrap();
        let all = passwords.turns.available_permits();
        let (may_end, ends) = std::sync::mpsc::channel::<()>();

        let abandoned = passwords.in_turn(move || ends.recv());
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(20), abandoned)
                .await
                .is_err()
        );
        let during = passwords.turns.available_permits();
        may_end.send(()).unwrap();

        assert_eq!(during, all - 1);
        drop(passwords.turns.acquire_many(u32::try_from(all).unwrap()).await.unwrap());
    }
}
