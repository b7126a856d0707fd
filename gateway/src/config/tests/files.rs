//! One configuration of several files, and files that are none.

use super::shipped::{DEFAULT_FILE, uncommented};
use super::*;

#[test]
fn included_files_go_on_with_lists_and_set_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    write(
        "main.toml",
        "include = [\"conf.d/*.toml\", \"*.toml\"]\n[public]\nthreads = 1\n[upstreams.a]\ntargets = [\"http://a\"]\n[[routes]]\npath = \"/a\"\nupstream = \"a\"\nresources = [\"anonymous\"]\n",
    );
    write(
        "conf.d/10.toml",
        "[public]\nbase_url = \"http://a\"\n[[routes]]\npath = \"/b\"\nupstream = \"a\"\nresources = [\"anonymous\"]\n",
    );
    write("conf.d/.hidden.toml", "nonsense");
    write("conf.d/readme.txt", "nonsense");
    let main = folder.path().join("main.toml");
    let load = || Loaded::read(Some(&main), &Environment::default()).map_err(|faults| faults.lines());

    assert_eq!(load().unwrap().config.routes.len(), 2);

    write("conf.d/20.toml", "[public]\nthreads = 2\n");
    write(
        "conf.d/30.toml",
        "include = [\"x\"]\n[oauth]\nplacment = [\"header\"]\n",
    );
    write("conf.d/40.toml", "[publik]\n");
    let told = load().unwrap_err().concat();
    assert!(
        told.contains(&format!(
            "20.toml:2: public.threads: is set already at {}:3",
            main.display()
        )),
        "{told}"
    );
    assert!(
        told.contains("30.toml:1: include: an included file can't include others")
            && told.contains("30.toml:3: oauth.placment"),
        "{told}"
    );
    assert!(told.contains("40.toml:1: publik: unknown key"), "{told}");
}

#[test]
fn an_include_that_names_a_missing_file_or_another_pattern_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.toml");
    std::fs::write(&main, "include = [\"gone.toml\", \"*/x.toml\", \"conf.d/*.toml\"]\n").unwrap();

    let told = Loaded::read(Some(&main), &Environment::default()).unwrap_err().lines();

    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("only one * is understood"), "{told:?}");
    assert!(told[1].contains("main.toml:1: include: "), "{told:?}");
    assert!(told[1].contains("gone.toml: can't be read: No such file"), "{told:?}");
}

#[test]
fn what_is_no_text_file_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"[public]\n# caf\xe9\n").unwrap();
    let told = |path: &Path| {
        Loaded::read(Some(path), &Environment::default())
            .unwrap_err()
            .lines()
            .concat()
    };

    assert!(told(&latin).ends_with("latin.toml:2: is not UTF-8, as TOML must be"));
    assert!(told(folder.path()).ends_with("is a folder, not a file"));
    assert!(told(Path::new("/dev/zero")).contains("is larger than 16 MiB"));
    assert!(told(&folder.path().join("gone")).contains("No such file"));
}

/// Recovery from broken syntax is the parser's most intricate part: whatever comes, it ends with faults or without.
#[test]
fn a_mangled_file_is_read_to_its_end() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % below
    };
    let whole = uncommented(DEFAULT_FILE);
    for _ in 0..500 {
        let mut octets = whole.clone().into_bytes();
        for _ in 0..=next(8) {
            let at = next(octets.len());
            let until = (at + next(400)).min(octets.len());
            match next(4) {
                0 => octets.truncate(at.max(1)),
                1 => octets[at] = *b"[]{}\"'=.#\n\\,-0a\0".get(next(16)).unwrap(),
                2 => drop(octets.drain(at..until)),
                _ => octets.extend_from_within(at..until),
            }
            if octets.is_empty() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&octets).into_owned();

        let read = read(&text);

        assert!(read.is_ok() || read.is_err_and(|faults| faults.iter().all(|fault| fault.contains("t.toml:"))));
    }
}

#[test]
fn a_file_that_can_not_be_read_hides_no_fault_of_the_others_and_nothing_that_it_may_hold_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let main = folder.path().join("main.toml");
    let told = || {
        let faults = Loaded::read(Some(&main), &Environment::default()).unwrap_err();
        let shown = faults.lines();
        let place = format!("{}/", folder.path().display());
        shown.iter().map(|line| line.replace(&place, "")).collect::<Vec<_>>()
    };
    let route = "[[routes]]\npath = \"/a\"\nupstream = \"a\"\nresources = [\"A::b\"]\n[upstreams.c]\nretries = \"x\"\n";
    write(
        "20.toml",
        &format!("{route}[[resources]]\nid = \"B\"\nparent = \"C\"\n"),
    );
    write("30.toml", "[public]\nthreads = 1\nthreads = 2\n");

    write(
        "main.toml",
        "include = [\n\"10.toml\",\n\"20.toml\",\n\"30.toml\"]\n[public]\nthreds = 1\n",
    );
    let missing = told();
    write("main.toml", "include = [\"20.toml\", \"30.toml\"]\n[public\n");
    let broken = told();

    assert_eq!(missing.len(), 4, "{missing:?}");
    assert!(
        missing[0].starts_with("20.toml:6: upstreams.c.retries: "),
        "{missing:?}"
    );
    assert!(
        missing[1].starts_with("30.toml:3: threads: duplicate key"),
        "{missing:?}"
    );
    assert!(
        missing[2].starts_with("main.toml:2: include: 10.toml: can't be read: "),
        "{missing:?}"
    );
    assert!(
        missing[3].starts_with("main.toml:6: public.threds: unknown key"),
        "{missing:?}"
    );
    assert_eq!(broken.len(), 3, "{broken:?}");
    assert_eq!(broken[..2], missing[..2]);
    assert!(broken[2].starts_with("main.toml:2: "), "{broken:?}");
}

#[test]
fn what_is_planned_is_read_as_if_it_were_done() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("conf.d")).unwrap();
    std::fs::write(at("main.toml"), "include = [\"conf.d/*.toml\", \"made/one.toml\"]\n").unwrap();
    std::fs::write(at("conf.d/old.toml"), "nonsense").unwrap();
    let (one, two, old) = (
        at("made/one.toml"),
        at("conf.d/../conf.d/two.toml"),
        at("conf.d/old.toml"),
    );
    let planned = Planned::of([
        (one.as_path(), Some("[public]\nbase_url = \"http://a\"\n")),
        (two.as_path(), Some("[admin]\nlisten = \"127.0.0.1:1\"\n")),
        (old.as_path(), None),
    ]);
    let read = |planned: &Planned| Loaded::read_with(Some(&at("main.toml")), &Environment::default(), planned);

    let config = read(&planned).unwrap().config;

    assert_eq!((config.public.base_urls.len(), config.admin.listen.port()), (1, 1));
    assert_eq!(read(&Planned::default()).unwrap_err().lines().len(), 2);
}
