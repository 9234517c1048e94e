//! Publication as Parquet, with publishers that stall (protocol.md §3.11).

use std::sync::Arc;

use sluice_proto::storage::v1::ParquetFile;
use sluice_schema::ids::Offset;
use sluice_txn::protocol::publication;

use crate::{action::PublicationAction, config::START_MS, ids::Place, publisher::Publisher, world::World};

const STALLED: &str = "I34, I35: only the publication that was recorded last and not given up is published";
const RIGHTFUL: &str = "I40: a rightful call is answered";

impl World {
    pub(super) fn publication(&mut self, action: PublicationAction) -> bool {
        match action {
            PublicationAction::Intend { place, short } => self.intend(place, short),
            PublicationAction::Publish(number) => self.publish(number),
            PublicationAction::GiveUp(number) => self.give_up(number),
        }
    }

    fn intend(&mut self, place: Place, short: bool) -> bool {
        let first = self.publication.end(place);
        let seen = self.seen.get(&place).map_or(&[][..], |seen| seen);
        let end = (seen.len() as u64).saturating_sub(short.into());
        if end <= first {
            return false;
        }
        let content = Arc::new(seen[first as usize..end as usize].to_vec());
        let number = self.publication.begun;
        let called = self.call(|draft| {
            publication::intend(draft, place.id(), Offset::new(first), Offset::new(end), number.to_string(), START_MS)
        });
        if let Err(refusal) = called {
            self.blame(RIGHTFUL, format!("intent for [{first}, {end}) of {place}: {}", refusal.message));
        }
        self.publication.begun += 1;
        self.publication.live.insert((place, first), number);
        self.publication.publishers.push(Publisher { number, place, first, end, short, content });
        true
    }

    fn publish(&mut self, number: u8) -> bool {
        let Some(at) = self.publication.publishers.iter().position(|publisher| publisher.number == number) else {
            return false;
        };
        let Publisher { place, first, end, short, content, .. } = self.publication.publishers.remove(at);
        let key = (place, first);
        let live = self.publication.live.get(&key) == Some(&number);
        // Readers find the file as soon as the ledger names it.
        let before = self.publication.files.insert(key, content);
        let file = ParquetFile { end, path: format!("{number}.parquet"), ..ParquetFile::default() };
        let called =
            self.call(|draft| publication::publish(draft, place.id(), Offset::new(first), &number.to_string(), &file));
        match called {
            Ok(_) => {
                if !live {
                    self.blame(
                        STALLED,
                        format!("publisher {number} of [{first}, {end}) of {place} had been overtaken"),
                    );
                }
                self.publication.live.remove(&key);
            }
            Err(refusal) => {
                match before {
                    Some(before) => drop(self.publication.files.insert(key, before)),
                    None => drop(self.publication.files.remove(&key)),
                }
                // A file that ends inside an extent is refused for good; its intent stays until it is given up.
                if live && !short {
                    self.blame(RIGHTFUL, format!("publisher {number} of {place}: {}", refusal.message));
                }
            }
        }
        true
    }

    fn give_up(&mut self, number: u8) -> bool {
        let found = self.publication.live.iter().find(|(_, live)| **live == number).map(|(key, _)| *key);
        let Some((place, first)) = found else { return false };
        let called = self.call(|draft| publication::give_up(draft, place.id(), Offset::new(first)));
        if let Err(refusal) = called {
            self.blame(RIGHTFUL, format!("giving up {number}: {}", refusal.message));
        }
        self.publication.live.remove(&(place, first));
        true
    }
}
