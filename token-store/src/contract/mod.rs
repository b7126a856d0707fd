//! What every store promises, the cache included: one function a property, run over each backend and over the cache in
//! front of it.
//!
//! A property is given two handles to one store, as two gateways have them. Where one process has only one store
//! (embedded), the handles are that store, or two caches in front of it.

mod accounts;
mod changes;
mod consumers;
mod delegated;
mod deletions;
mod events;
pub(crate) mod keys;
mod listing;
pub(crate) mod make;
mod nonces;
mod noted;
#[cfg(feature = "redis")]
mod redis;
mod revocations;
mod secret_uses;
mod state;
mod users;

use std::any::Any;
use std::future::Ready;
use std::sync::{Arc, Barrier};

use crate::cached::Cached;
use crate::embedded::Embedded;
use crate::{Store, UnixSeconds};

/// A new store behind two handles.
pub(crate) struct Stores {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
    /// A second from which on nonces count.
    now: UnixSeconds,
    /// Folders and servers that must outlive the handles.
    _alive: Vec<Box<dyn Any + Send + Sync>>,
}

impl Stores {
    fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(folder.path(), &[], make::THEN).unwrap());
        Self {
            one: Arc::clone(&store),
            other: store,
            now: make::THEN + 60,
            _alive: vec![Box::new(folder)],
        }
    }

    /// The same with a cache before each handle.
    fn cached(self) -> Self {
        Self {
            one: Arc::new(Cached::new(self.one, 1000)),
            other: Arc::new(Cached::new(self.other, 1000)),
            ..self
        }
    }

    /// Does something `count` times at the same moment, each time on a thread of its own and by turns on either handle.
    /// All is done when this returns; it is awaited only as everything else in a property is.
    fn at_once<T: Send>(&self, count: usize, act: impl AsyncFn(Arc<dyn Store>, usize) -> T + Sync) -> Ready<Vec<T>> {
        let (runtime, barrier) = (tokio::runtime::Handle::current(), Barrier::new(count));
        let results = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..count)
                    .map(|turn| {
                        let store = Arc::clone(if turn % 2 == 0 { &self.one } else { &self.other });
                        let (runtime, barrier, act) = (&runtime, &barrier, &act);
                        scope.spawn(move || {
                            barrier.wait();
                            runtime.block_on(act(store, turn))
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            })
        });
        std::future::ready(results)
    }
}

/// Makes the tests of one backend out of a list of properties.
macro_rules! suite {
    ($backend:ident, $make:expr, { $($file:ident { $($property:ident)* })* }) => {
        mod $backend {
            $(mod $file {
                use crate::contract::{Stores, $file};
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    let make: fn() -> _ = || $make;
                    let stores: Stores = make().await;
                    $file::$property(&stores).await;
                })*
            })*
        }
    };
}

/// The whole contract, by the file a property stands in.
macro_rules! whole_contract {
    ($backend:ident, $make:expr) => {
        suite!($backend, $make, {
            consumers {
                a_new_consumer_is_found_whole_by_everything_that_names_it
                a_consumer_is_named_after_its_integration_unless_it_brings_a_name
                a_consumer_without_integration_is_found_by_number_and_key
                what_is_not_there_is_none
                numbers_are_positive_and_never_given_again
                a_name_is_taken_once_and_a_refused_consumer_leaves_nothing
                names_are_compared_exactly
                of_many_consumers_with_one_name_one_is_made
                a_key_that_another_consumer_has_is_refused
                a_token_that_stands_elsewhere_is_refused
                an_update_is_read_whole_and_moves_the_version_by_one
                every_index_follows_an_update
                a_token_that_was_taken_away_names_nobody
                an_update_of_what_changed_meanwhile_writes_nothing
                of_racing_updates_one_is_done
                a_rename_to_a_taken_name_writes_nothing
                a_rename_that_changes_only_the_case_is_done
                of_racing_renames_to_one_name_one_is_done
                a_name_is_free_again_after_a_rename_and_after_a_deletion
            }
            secret_uses {
                the_latest_use_of_each_secret_is_kept_and_others_are_forgotten
                a_use_changes_no_version_and_goes_with_its_consumer
            }
            deletions {
                a_deletion_takes_tokens_and_every_index_along
                a_deletion_compares_the_version_if_it_is_given_one
                what_was_deleted_is_not_brought_back_by_an_update
                a_deletion_that_compares_nothing_wins_over_racing_updates
                a_token_put_while_its_consumer_is_deleted_leaves_nothing
                many_are_made_at_once_with_the_numbers_they_bring
                many_at_once_take_nothing_from_those_that_stand
                a_creation_while_many_are_made_takes_none_of_their_numbers
            }
            listing {
                each_order_sorts_by_its_key_and_ties_by_number
                pages_hold_everything_once_in_every_order
                rows_that_come_and_go_between_pages_shift_nothing
                a_list_is_filtered_by_part_of_the_name_and_by_state
                a_list_of_those_in_clear_has_each_with_a_url_of_http
                a_list_of_exchanges_under_way_has_those_without_access_token
                consumers_without_integration_are_not_listed
                a_list_shows_an_update_at_once
                a_page_has_at_least_one_row_whatever_is_asked
            }
            delegated {
                a_token_is_found_whole_under_its_own_consumer_only
                all_tokens_of_a_consumer_are_listed_and_no_others
                an_exchange_moves_the_row_to_its_new_token
                a_change_that_keeps_the_token_is_done
                of_racing_exchanges_one_is_done
                an_exchange_of_what_changed_or_went_writes_nothing
                an_exchange_takes_no_token_that_stands_already
                a_deleted_token_is_gone_and_deleted_once
                what_a_user_delegated_is_listed_until_it_ends
                of_a_deletion_and_an_exchange_that_race_one_wins
            }
            nonces {
                a_nonce_counts_once
                a_nonce_is_another_for_another_consumer_token_or_timestamp
                what_stands_in_the_token_is_never_taken_for_a_part_of_the_nonce
                a_nonce_is_made_of_any_octets
                a_nonce_counts_once_at_every_timestamp_of_the_window
                of_many_claims_at_once_one_is_fresh
                of_claims_from_many_threads_one_is_fresh
                of_claims_ahead_of_the_clock_one_is_fresh
                different_nonces_at_once_are_all_fresh
                a_timestamp_that_no_clock_shows_is_never_a_fault_of_the_store
                a_new_store_has_no_past_to_be_unsure_of
                what_was_signed_before_an_import_is_unsure_everywhere
            }
            users {
                a_token_is_found_whole_by_its_digest
                tokens_are_listed_by_kind_and_number_of_their_user
                all_tokens_of_a_user_end_at_once_and_no_others
                a_sweep_takes_only_what_expired_of_that_kind
                a_sweep_takes_the_oldest_up_to_its_limit
                a_token_that_is_kept_again_lives_as_long_as_the_last_time_says
                a_user_of_very_many_tokens_is_listed_swept_and_ended
                a_new_account_is_found_whole_by_number_and_name
                a_user_name_is_taken_once_in_each_kind
                of_many_accounts_with_one_name_one_is_made
                accounts_are_listed_by_number
                an_account_s_update_is_read_whole
                a_renamed_account_is_found_by_its_new_name_only
                of_racing_updates_of_an_account_one_is_done
            }
            accounts {
                an_account_is_made_with_the_number_that_was_brought
                neither_name_nor_number_is_taken_twice
                of_many_with_one_number_one_is_made
                a_deleted_account_is_gone_everywhere_and_its_name_free
            }
            revocations {
                every_token_is_met_in_the_pages_of_a_list
                one_token_ends_and_no_other
                each_revocation_moves_its_user_on_and_no_other
                revocations_at_once_all_move_it_on
                a_revocation_elsewhere_is_known_after_a_second
                a_shared_secret_is_the_one_that_was_made_first
                of_shared_secrets_made_at_once_all_are_the_same
            }
            state {
                failures_count_up_and_each_moves_the_expiry
                failures_are_forgotten_from_the_second_of_their_expiry
                a_failure_before_the_expiry_counts_on
                failures_belong_to_a_kind_and_a_name_as_typed
                failures_at_once_are_all_counted
                a_success_forgets_the_failures_of_that_name_only
                a_sweep_takes_expired_failures_up_to_its_limit
                entries_are_numbered_from_one_and_chained
                entries_appended_at_once_have_no_gap_and_no_double
                entries_are_read_in_pages
                an_entry_that_was_changed_breaks_the_chain
                a_lease_has_one_holder
                of_many_who_want_a_lease_one_holds_it
                a_lease_ends_by_itself_and_a_renewal_prolongs_it
                a_store_that_stands_passes_its_check
            }
            noted {
                a_change_and_its_entry_are_kept_together
                every_kind_of_change_can_be_noted
                what_was_refused_is_not_noted
                of_several_changes_the_first_that_is_meant_is_noted
                changes_noted_at_once_have_no_gap_and_are_all_made
                a_change_is_never_seen_without_its_entry
            }
            events {
                a_change_and_what_is_told_of_it_are_kept_together
                no_change_is_ever_seen_before_what_is_told_of_it
                what_was_refused_tells_nothing
                the_log_is_read_from_any_place_and_keeps_the_latest
                a_delivery_waits_until_it_is_due_and_ends_when_it_is_settled
                webhooks_have_outboxes_of_their_own
                a_full_outbox_drops_its_oldest_and_counts_it
                a_dead_letter_is_listed_and_goes_back_by_its_name
                of_too_many_dead_letters_the_oldest_go
                of_settlements_at_once_one_ends_the_delivery
            }
            changes {
                every_change_is_told_before_it_is_answered
                a_change_through_one_handle_is_told_at_the_other
                what_was_refused_changes_nothing_that_is_read
                a_consumer_is_never_older_than_what_was_answered
                a_delegated_token_is_never_older_than_what_was_answered
                an_account_is_never_older_than_what_was_answered
                a_bearer_token_never_outlives_its_revocation
                what_another_gateway_revoked_is_gone_after_a_second
                an_absence_is_believed_until_the_creation_here_and_a_second_elsewhere
            }
        });
    };
}

/// What could come out otherwise where a primary is looked for, or several servers share the work.
#[cfg(feature = "redis")]
macro_rules! bigger_redis {
    ($backend:ident, $make:expr) => {
        suite!($backend, $make, {
            consumers {
                a_new_consumer_is_found_whole_by_everything_that_names_it
                every_index_follows_an_update
                of_racing_updates_one_is_done
            }
            deletions {
                a_deletion_takes_tokens_and_every_index_along
                many_are_made_at_once_with_the_numbers_they_bring
            }
            listing {
                pages_hold_everything_once_in_every_order
            }
            delegated {
                of_racing_exchanges_one_is_done
            }
            nonces {
                a_nonce_counts_once
                a_nonce_is_another_for_another_consumer_token_or_timestamp
                a_nonce_is_made_of_any_octets
                of_many_claims_at_once_one_is_fresh
                of_claims_from_many_threads_one_is_fresh
                of_claims_ahead_of_the_clock_one_is_fresh
                different_nonces_at_once_are_all_fresh
                a_new_store_has_no_past_to_be_unsure_of
                what_was_signed_before_an_import_is_unsure_everywhere
            }
            users {
                all_tokens_of_a_user_end_at_once_and_no_others
                a_sweep_takes_only_what_expired_of_that_kind
                of_many_accounts_with_one_name_one_is_made
            }
            revocations {
                revocations_at_once_all_move_it_on
                a_revocation_elsewhere_is_known_after_a_second
                of_shared_secrets_made_at_once_all_are_the_same
            }
            noted {
                a_change_and_its_entry_are_kept_together
                changes_noted_at_once_have_no_gap_and_are_all_made
            }
            events {
                a_change_and_what_is_told_of_it_are_kept_together
                the_log_is_read_from_any_place_and_keeps_the_latest
                a_full_outbox_drops_its_oldest_and_counts_it
                a_dead_letter_is_listed_and_goes_back_by_its_name
            }
            state {
                failures_at_once_are_all_counted
                entries_appended_at_once_have_no_gap_and_no_double
                of_many_who_want_a_lease_one_holds_it
                a_store_that_stands_passes_its_check
            }
            changes {
                every_change_is_told_before_it_is_answered
                a_consumer_is_never_older_than_what_was_answered
                what_another_gateway_revoked_is_gone_after_a_second
                an_absence_is_believed_until_the_creation_here_and_a_second_elsewhere
            }
        });
    };
}

whole_contract!(embedded, std::future::ready(Stores::embedded()));
whole_contract!(cached_embedded, std::future::ready(Stores::embedded().cached()));
#[cfg(feature = "redis")]
whole_contract!(standalone, crate::contract::redis::STANDALONE.next());
#[cfg(feature = "redis")]
whole_contract!(cached_standalone, async {
    crate::contract::redis::STANDALONE.next().await.cached()
});
#[cfg(feature = "redis")]
bigger_redis!(sentinels, async {
    crate::contract::redis::SENTINELS.next().await.cached()
});
#[cfg(feature = "redis")]
bigger_redis!(cluster, async { crate::contract::redis::CLUSTER.next().await.cached() });
