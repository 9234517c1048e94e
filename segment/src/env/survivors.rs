use super::mem_disk::{Changed, Left, MemDisk, Unsynced};
use super::rng::SeededRng;

/// Which of the changes that were not synced are found after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// None: power was lost before the disk did anything.
    None,
    /// All, as after `kill -9`.
    All,
    /// The first so many.
    First(usize),
    /// Those before the last write, and its first so many sectors.
    TornAfter(usize),
    /// Those before the last write, and all of it but its first so many sectors.
    TornBefore(usize),
    /// The last one alone.
    Last,
    /// Each by itself, writes whole or sector by sector, as this seed decides.
    Some(u64),
}

/// A disk as a crash left it, and what the crash did.
#[derive(Debug, Clone)]
pub struct Image {
    /// The disk.
    pub disk: MemDisk,
    /// A write survived in part.
    pub torn: bool,
    /// A change did not survive at all.
    pub lost: bool,
    /// A change survived, whole or in part, of which an earlier one did not survive whole.
    pub reordered: bool,
}

impl Survivors {
    /// All cases for these unsynced changes, with so many seeds.
    pub fn cases(unsynced: &[Unsynced], seeds: std::ops::Range<u64>) -> Vec<Survivors> {
        if unsynced.is_empty() {
            return vec![Survivors::All];
        }
        let mut cases = vec![Survivors::None, Survivors::All, Survivors::Last];
        cases.extend((1..unsynced.len()).map(Survivors::First));
        let sectors = last_write(unsynced).map_or(0, |(_, sectors)| sectors);
        cases.extend((1..sectors).map(Survivors::TornAfter));
        cases.extend((1..sectors).map(Survivors::TornBefore));
        cases.extend(seeds.map(Survivors::Some));
        cases
    }

    /// The disk that is found.
    pub fn of(self, disk: &MemDisk) -> Image {
        let unsynced = disk.unsynced();
        let torn = last_write(&unsynced).map_or(u64::MAX, |(number, _)| number);
        let rng = SeededRng::new(if let Survivors::Some(seed) = self { seed } else { 0 });
        let whole = |survives: bool| if survives { Left::Whole } else { Left::Nothing };
        let mut told: Vec<(u64, Left)> = Vec::new();
        let disk = disk.crash_by(&mut |change| {
            let place = unsynced.partition_point(|other| other.number < change.number);
            let left = match (self, change.what) {
                (Survivors::None, _) => Left::Nothing,
                (Survivors::All, _) => Left::Whole,
                (Survivors::First(count), _) => whole(place < count),
                (Survivors::Last, _) => whole(place + 1 == unsynced.len()),
                (Survivors::TornAfter(kept), Changed::Content { sectors }) if change.number == torn => {
                    Left::Sectors((0..sectors).map(|sector| sector < kept).collect())
                }
                (Survivors::TornBefore(lost), Changed::Content { sectors }) if change.number == torn => {
                    Left::Sectors((0..sectors).map(|sector| sector >= lost).collect())
                }
                (Survivors::TornAfter(_) | Survivors::TornBefore(_), _) => whole(change.number < torn),
                (Survivors::Some(_), Changed::Content { sectors }) if rng.below(3) == 0 => {
                    Left::Sectors((0..sectors).map(|_| rng.below(2) == 0).collect())
                }
                (Survivors::Some(_), _) => whole(rng.below(2) == 0),
            };
            told.push((change.number, left.clone()));
            left
        });
        told.sort_by_key(|(number, _)| *number);
        let left: Vec<Kept> = told.iter().map(|(_, left)| Kept::of(left)).collect();
        let first_missing = left.iter().position(|kept| *kept != Kept::Whole).unwrap_or(left.len());
        Image {
            disk,
            torn: left.contains(&Kept::Part),
            lost: left.contains(&Kept::Nothing),
            reordered: left.iter().skip(first_missing + 1).any(|kept| *kept != Kept::Nothing),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Part,
    Whole,
}

impl Kept {
    fn of(left: &Left) -> Kept {
        match left {
            Left::Nothing => Kept::Nothing,
            Left::Whole => Kept::Whole,
            Left::Sectors(kept) if kept.iter().all(|kept| *kept) => Kept::Whole,
            Left::Sectors(kept) if kept.iter().any(|kept| *kept) => Kept::Part,
            Left::Sectors(_) => Kept::Nothing,
        }
    }
}

/// Number and sectors of the last write.
fn last_write(unsynced: &[Unsynced]) -> Option<(u64, usize)> {
    unsynced.iter().rev().find_map(|change| match change.what {
        Changed::Content { sectors } => Some((change.number, sectors)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::env::{Disk, OpenMode};

    /// A synced file and a name that is not synced, then two writes: every case is what it says, and the cases differ.
    #[test]
    fn each_case_leaves_what_it_says() {
        let disk = MemDisk::new();
        let (dir, path, other) = (Path::new("/d"), Path::new("/d/f"), Path::new("/d/g"));
        disk.create_dir_all(dir).unwrap();
        let file = disk.open(path, OpenMode::CreateNew).unwrap();
        file.write_all_at(0, &[1; 512]).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(dir).unwrap();
        disk.open(other, OpenMode::CreateNew).unwrap();
        file.write_all_at(0, &[2; 512]).unwrap();
        file.write_all_at(512, &[3; 1024]).unwrap();

        let unsynced = disk.unsynced();
        assert_eq!(unsynced.len(), 3);
        let cases = Survivors::cases(&unsynced, 0..40);
        assert_eq!(cases.len(), 3 + 2 + 2 + 40);
        let found = |case: Survivors| {
            let Image { disk, torn, lost, reordered } = case.of(&disk);
            let content = disk.contents(path).unwrap();
            let sectors: Vec<u8> = content.chunks(512).map(|sector| sector[0]).collect();
            (sectors, disk.contents(other).is_some(), (torn, lost, reordered))
        };
        assert_eq!(found(Survivors::None), (vec![1], false, (false, true, false)));
        assert_eq!(found(Survivors::All), (vec![2, 3, 3], true, (false, false, false)));
        assert_eq!(found(Survivors::Last), (vec![1, 3, 3], false, (false, true, true)));
        assert_eq!(found(Survivors::First(1)), (vec![1], true, (false, true, false)));
        assert_eq!(found(Survivors::First(2)), (vec![2], true, (false, true, false)));
        assert_eq!(found(Survivors::TornAfter(1)), (vec![2, 3], true, (true, false, false)));
        assert_eq!(found(Survivors::TornBefore(1)), (vec![2, 0, 3], true, (true, false, false)));
        let distinct: BTreeSet<u64> = cases.iter().map(|case| case.of(&disk).disk.digest()).collect();
        assert!(distinct.len() >= 12, "{} distinct images", distinct.len());
    }
}
