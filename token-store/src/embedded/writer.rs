//! One thread writes: redb serialises writers anyway, and changes that wait together share one sync to disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use redb::WriteTransaction;
use tokio::sync::oneshot;

use super::file::StoreFile;
use crate::change::Listeners;
use crate::{Change, Freshness, StoreError};

/// The changes that a job made, for the caches.
pub(super) type Changes = Vec<Change>;

/// Works inside the transaction; says whether it went well, and is told whether the transaction did.
type Job = Box<dyn FnOnce(&WriteTransaction) -> Result<(Changes, Answer), StoreError> + Send>;
/// Answers the caller, once the transaction is on disk or lost.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Hands jobs to the thread.
pub(super) struct Writer {
    jobs: SyncSender<Work>,
    stopped: AtomicBool,
}

enum Work {
    Job(Job, Box<dyn FnOnce(StoreError) + Send>),
    Stop(oneshot::Sender<()>),
}

impl Writer {
    pub(super) fn start(
        file: Arc<StoreFile>,
        listeners: Arc<Listeners>,
        freshness: Arc<Freshness>,
    ) -> std::io::Result<Self> {
        let (jobs, work) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                run(&file, &work, &listeners, &freshness);
            })?;
        Ok(Self {
            jobs,
            stopped: AtomicBool::new(false),
        })
    }

    /// Runs `job` in a transaction and answers when it is on disk. A job that fails must not have written anything.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTransaction) -> Result<(T, Changes), StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel::<Result<T, StoreError>>();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        // Nothing but the job may hold it: a job that is lost as the thread ends takes it along, and the wait is over.
        let take = move || sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let answer_of = take.clone();
        let job: Job = Box::new(move |transaction| {
            let (value, changes) = job(transaction)?;
            let answer: Answer = Box::new(move |committed| {
                // A caller that went away doesn't want the answer.
                if let Some(sender) = answer_of() {
                    drop(sender.send(committed.map(|()| value)));
                }
            });
            Ok((changes, answer))
        });
        let failed = Box::new(move |error| {
            if let Some(sender) = take() {
                drop(sender.send(Err(error)));
            }
        });
        self.hand_over(job, failed)?;
        receiver.await.map_err(|_| unavailable("the store is closed"))?
    }

    /// Hands over a change that nobody waits for: `then` is called once it is on disk, and never if it is lost.
    pub(super) fn post(
        &self,
        job: impl FnOnce(&WriteTransaction) -> Result<(), StoreError> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) {
        let job: Job = Box::new(move |transaction| {
            job(transaction)?;
            let answer: Answer = Box::new(move |committed| {
                if committed.is_ok() {
                    then();
                }
            });
            Ok((Changes::new(), answer))
        });
        let lost = |error: StoreError| tracing::debug!(%error, "a change that nobody waits for was lost");
        if let Err(error) = self.hand_over(job, Box::new(lost)) {
            lost(error);
        }
    }

    fn hand_over(&self, job: Job, failed: Box<dyn FnOnce(StoreError) + Send>) -> Result<(), StoreError> {
        match self.jobs.try_send(Work::Job(job, failed)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(unavailable("too many changes wait for the disk")),
            Err(TrySendError::Disconnected(_)) => Err(unavailable("the store is closed")),
        }
    }

    /// Returns when everything handed in before is on disk and the thread has ended.
    pub(super) async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.jobs.try_send(Work::Stop(sender)).is_ok() && receiver.await.is_err() {
            tracing::debug!("the store's writer ended before it was told to");
        }
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether [`Writer::stop`] went through.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

fn run(file: &StoreFile, work: &Receiver<Work>, listeners: &Listeners, freshness: &Freshness) {
    while let Ok(first) = work.recv() {
        let mut together = vec![first];
        while together.len() < TOGETHER
            && let Ok(next) = work.try_recv()
        {
            together.push(next);
        }
        let mut stop = None;
        let mut jobs = Vec::with_capacity(together.len());
        for one in together {
            match one {
                Work::Job(job, failed) => jobs.push((job, failed)),
                Work::Stop(sender) => stop = Some(sender),
            }
        }
        commit(file, jobs, listeners, freshness);
        if let Some(sender) = stop {
            if sender.send(()).is_err() {
                tracing::debug!("nobody waits for the store's writer to end");
            }
            return;
        }
    }
}

type Waiting = (Job, Box<dyn FnOnce(StoreError) + Send>);

fn commit(file: &StoreFile, jobs: Vec<Waiting>, listeners: &Listeners, freshness: &Freshness) {
    if jobs.is_empty() {
        return;
    }
    let mut jobs = jobs.into_iter();
    let (mut changes, mut answers) = (Vec::new(), Vec::with_capacity(jobs.len()));
    let committed = file.write(|transaction| {
        for (job, failed) in jobs.by_ref() {
            match job(transaction) {
                Ok((of_job, answer)) => {
                    changes.extend(of_job);
                    answers.push(answer);
                }
                Err(error) => failed(error),
            }
        }
    });
    if committed.is_err() {
        // It may be on the disk all the same: nobody may go on believing what was read before.
        changes = vec![Change::Everything];
    }
    if !changes.is_empty() {
        listeners.tell(&changes);
        freshness.bump();
    }
    let fault = committed.err().map(|error| match error {
        StoreError::Unavailable(reason) => reason.to_string(),
        StoreError::IdentityLost | StoreError::Corrupt(_) => error.to_string(),
    });
    for answer in answers {
        answer(fault.as_ref().map_or(Ok(()), |text| Err(unavailable(text))));
    }
    for (_, failed) in jobs {
        failed(unavailable(fault.as_deref().unwrap_or_default()));
    }
}

/// A fault of the file or its thread.
pub(super) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// Changes that may wait: more would only wait longer.
const QUEUE: usize = 8192;
/// Changes that share a sync.
const TOGETHER: usize = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_job_that_is_lost_as_the_thread_ends_is_refused() {
        let (jobs, work) = sync_channel(1);
        let writer = Writer {
            jobs,
            stopped: AtomicBool::new(false),
        };

        let write_as_it_ends = async { tokio::join!(writer.write(|_| Ok(((), Changes::new()))), async { drop(work) }) };
        let (written, ()) = tokio::time::timeout(Duration::from_secs(10), write_as_it_ends)
            .await
            .unwrap();

        assert!(matches!(written, Err(StoreError::Unavailable(_))));
    }
}
