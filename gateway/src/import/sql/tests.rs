use super::*;

type Read = Vec<(String, Option<Vec<String>>, Vec<Option<String>>, usize)>;

fn rows_of(source: impl std::io::Read) -> Result<Read, SqlError> {
    read_all(source).map(|(rows, _)| rows)
}

fn read_all(source: impl std::io::Read) -> Result<(Read, Ending), SqlError> {
    let mut rows = Vec::new();
    let ending = read(
        source,
        |table| table.starts_with('t'),
        |row| {
            let text = |cell: Cell| match cell {
                Cell::Null => None,
                Cell::Octets(octets) => Some(String::from_utf8_lossy(&octets).into_owned()),
            };
            rows.push((
                row.table.to_owned(),
                row.columns.map(<[String]>::to_vec),
                row.cells.into_iter().map(text).collect(),
                row.line,
            ));
            Ok(())
        },
    )?;
    Ok((rows, ending))
}

fn cells(text: &str) -> Vec<Vec<Option<String>>> {
    rows_of(text.as_bytes())
        .unwrap()
        .into_iter()
        .map(|(_, _, cells, _)| cells)
        .collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

/// An octet a call: every place is the border of what was read.
struct Trickle<'a>(&'a [u8]);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(0);
        };
        self.0 = rest;
        buffer[0] = *first;
        Ok(1)
    }
}

const DUMP: &str = r"-- MySQL dump 10.13
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `t1`;
CREATE TABLE IF NOT EXISTS `t1` (
  `id` int(10) unsigned NOT NULL DEFAULT '0' COMMENT 'a, (b) it''s',
  `name` enum('a','b)') DEFAULT NULL,
  `n` decimal(12,4),
  PRIMARY KEY (`id`),
  KEY `K` (`name`,`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
LOCK TABLES `t1` WRITE;
INSERT INTO `t1` VALUES (1,'one',NULL),
(2,'it\'s; -- ''two''',-3.5);
INSERT INTO `other` VALUES (1,'; INSERT INTO `t1` VALUES (9,9,9);');
UNLOCK TABLES;
DELIMITER ;;
CREATE TRIGGER x AFTER INSERT ON t1 FOR EACH ROW BEGIN INSERT INTO t1 VALUES (NEW.id, NEW.a, 1); END ;;
DELIMITER ;
# a comment with ' in it
INSERT IGNORE INTO `db`.`t2` (`a`, `b`) VALUES (0x414243, _binary 'x'), (X'6f6b', TRUE);
replace into t2 (a, b) values (1e5, false) on duplicate key update a = 'x;';
-- Dump completed
";

#[test]
fn an_export_gives_its_rows_however_it_is_cut_into_reads() {
    let rows = rows_of(DUMP.as_bytes()).unwrap();

    let columns = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let t1 = columns(&["id", "name", "n"]);
    let t2 = columns(&["a", "b"]);
    assert_eq!(
        rows,
        [
            (
                "t1".to_owned(),
                t1.clone(),
                vec![Some("1".to_owned()), Some("one".to_owned()), None],
                12
            ),
            ("t1".to_owned(), t1, some(&["2", "it's; -- 'two'", "-3.5"]), 13),
            ("t2".to_owned(), t2.clone(), some(&["ABC", "x"]), 20),
            ("t2".to_owned(), t2.clone(), some(&["ok", "1"]), 20),
            ("t2".to_owned(), t2, some(&["1e5", "0"]), 21),
        ]
    );
    assert_eq!(rows_of(Trickle(DUMP.as_bytes())).unwrap(), rows);
}

#[test]
fn escapes_are_resolved_as_the_database_does() {
    assert_eq!(
        cells(r#"INSERT INTO t VALUES ('a\nb\t\\c\'d\"e\0\Z\%\_\q','''',"x""y'z",'');"#),
        [some(&["a\nb\t\\c'd\"e\0\u{1a}\\%\\_q", "'", "x\"y'z", ""])]
    );
}

#[test]
fn a_minus_at_the_border_of_a_read_is_no_comment() {
    let padding = " ".repeat(HELD - "INSERT INTO t VALUES (".len() - 1);
    let text = format!("INSERT INTO t VALUES ({padding}-5,--\n 6);");

    assert_eq!(cells(&text), [some(&["-5", "6"])]);
}

#[test]
fn an_export_cut_inside_of_rows_is_refused_with_its_line() {
    let whole = "\nINSERT INTO `t` (`a`) VALUES ('x'),\n(NULL);";
    for end in 2..whole.len() {
        let part = whole.get(..end).unwrap();
        let read = rows_of(part.as_bytes());
        // Before VALUES the statement may not even be known to be one.
        if part.contains("VALUES (") {
            assert!(read.is_err(), "{part:?} gave {read:?}");
        }
    }
    let Err(SqlError::Malformed { line, what }) = rows_of(&whole.as_bytes()[..whole.len() - 1]) else {
        panic!()
    };
    assert_eq!((line, what.contains("cut")), (3, true), "{what}");
}

#[test]
fn an_export_tells_whether_it_says_that_it_is_whole() {
    let ending = |text: &str| read_all(text.as_bytes()).map(|(_, ending)| ending).ok();
    let cut = DUMP.trim_end_matches("-- Dump completed\n");

    assert_eq!(ending(DUMP), Some(Ending::Whole));
    assert_eq!(ending(cut), Some(Ending::Unkept));
    assert_eq!(
        ending(cut.trim_start_matches("-- MySQL dump 10.13\n")),
        Some(Ending::Unsaid)
    );
    assert_eq!(ending(&format!("{DUMP}DROP TABLE a;")), Some(Ending::Unsaid));
    for part in [
        "INSERT INTO other VALUES (1)",
        "DROP TABLE IF EX",
        "CREATE TABLE `oauth_t",
    ] {
        assert_eq!(ending(part), None, "{part}");
    }
}

#[test]
fn what_is_no_export_is_named() {
    let what = |octets: &[u8]| match rows_of(octets) {
        Err(error) => error.to_string(),
        Ok(rows) => panic!("{rows:?}"),
    };

    assert_eq!(what(&[0x1F, 0x8B, 8, 0]), "line 1: is compressed: unpack it first");
    assert!(what(&[0xFF, 0xFE, b'-', 0]).contains("UTF-16"));
    assert!(what(b"<?xml version=\"1.0\"?>").contains("--xml"));
    assert!(what(&[0xC3, 0xA9, 0xC3]).contains("is it an SQL export?"));
    assert!(what(b"INSERT INTO t SELECT 1").contains("expected VALUES"));
    assert!(what(b"INSERT INTO t VALUES (NOW())").contains("no expressions"));
    assert!(what(b"INSERT INTO t VALUES (0x1)").contains("hexadecimal"));
    assert!(what(b"INSERT INTO t (a,b) VALUES (1)").contains("1 values for 2 columns"));
    assert!(what(b"INSERT INTO t VALUES (1 2)").contains("expected ')'"));
    assert!(what(b"/* no end").contains("cut"));
    assert!(what(b"INSERT INTO other VALUES ('no end").contains("cut"));
    assert!(what(format!("INSERT INTO t VALUES ('{}')", "x".repeat(MOST_VALUE + 1)).as_bytes()).contains("64 KiB"));
    assert!(what(format!("INSERT INTO t VALUES ({})", "1,".repeat(1000)).as_bytes()).contains("256 values"));
    assert!(what("x".repeat(1000).as_bytes()).contains("word longer"));
}

#[test]
fn octets_of_any_kind_end_in_rows_or_an_error() {
    // Each octet after each prefix: nothing hangs, nothing panics.
    for prefix in [
        "",
        "INSERT INTO t VALUES (",
        "CREATE TABLE t (",
        "CREATE TABLE t (`a` x",
        "DELIMITER ",
        "INSERT INTO t (",
    ] {
        for byte in 0..=u8::MAX {
            let octets: Vec<u8> = prefix.bytes().chain([byte, byte, b'\n', b'x']).collect();
            drop(rows_of(Trickle(&octets)));
        }
    }
}
