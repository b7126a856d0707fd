//! What the files of several modules come to together.

use super::*;

/// A file of a module.
pub(super) fn file(kind: Kind, module: &str, text: &str) -> XmlFile {
    let name = match kind {
        Kind::Webapi => "webapi.xml",
        Kind::Acl => "acl.xml",
        Kind::Integrations => "integration.xml",
    };
    XmlFile {
        kind,
        module: module.to_owned(),
        name: Arc::from(format!("{module}/etc/{name}")),
        octets: text.as_bytes().to_vec(),
    }
}

/// A `webapi.xml` with these routes.
pub(super) fn webapi(module: &str, routes: &str) -> XmlFile {
    file(Kind::Webapi, module, &format!("<routes>\n{routes}\n</routes>"))
}

/// An `acl.xml` with these resources below the root.
pub(super) fn acl(module: &str, resources: &str) -> XmlFile {
    let text = format!(
        "<config><acl><resources><resource id=\"Magento_Backend::admin\">\n{resources}\n</resource></resources></acl></config>"
    );
    file(Kind::Acl, module, &text)
}

/// Without asynchronous forms, and with forced parameters.
pub(super) fn options() -> Options {
    Options {
        upstream: "storefront".to_owned(),
        with_async: false,
    }
}

pub(super) fn imported(files: &[XmlFile]) -> Imported {
    read(files, &Own::default(), &options()).unwrap()
}

/// The notes of a weight, as `place what: why`.
pub(super) fn noted(imported: &Imported, weight: Weight) -> Vec<String> {
    let notes = imported.notes.iter().filter(|note| note.weight == weight);
    notes
        .map(|note| format!("{} {}: {}", note.place, note.what, note.why))
        .collect()
}

/// The configuration that the result is part of; panics where it has faults.
pub(super) fn checked(imported: &Imported, options: &Options) -> crate::config::Config {
    let upstream = "[upstreams.storefront]\ntargets = [\"http://127.0.0.1:1\"]\n".to_owned();
    let texts: Vec<String> = [upstream]
        .into_iter()
        .chain(write::files(imported, options).into_values())
        .collect();
    let environment = crate::config::Environment::default();
    let (config, _) = crate::config::Config::parse(&texts.join("\n"), "imported.toml", &environment).unwrap();
    config
}

#[test]
fn all_broken_files_are_told_at_once_with_their_lines() {
    let files = [
        webapi("A_A", "<route"),
        file(Kind::Acl, "B_B", "<routes/>"),
        file(Kind::Integrations, "C_C", "\n<acl/>"),
        webapi("D_D", ""),
    ];

    let faults = read(&files, &Own::default(), &options()).unwrap_err();

    let lines: Vec<(&str, usize)> = faults.iter().map(|fault| (fault.file.as_str(), fault.line)).collect();
    assert_eq!(
        lines,
        [
            ("A_A/etc/webapi.xml", 2),
            ("B_B/etc/acl.xml", 1),
            ("C_C/etc/integration.xml", 2)
        ]
    );
}

#[test]
fn what_the_formats_do_not_have_is_listed_and_never_dropped_in_silence() {
    let files = [
        webapi(
            "A_A",
            "<route url=\"/V1/a\" method=\"GET\" cacheable=\"true\"><service class=\"A\" method=\"b\" x=\"1\"/>\n\
             <resources><resource ref=\"anonymous\"/><role/></resources><throttle/></route>",
        ),
        acl(
            "A_A",
            "<resource id=\"A_A::a\" title=\"Aaa\" icon=\"x\"><widget/></resource>",
        ),
    ];

    let imported = imported(&files);

    assert_eq!(
        noted(&imported, Weight::NotCarried),
        [
            "A_A/etc/acl.xml:2 <resource> icon=…: an attribute that the format doesn't have",
            "A_A/etc/acl.xml:2 <widget> in <resource>: an element that the format doesn't have",
            "A_A/etc/webapi.xml:2 <route> cacheable=…: an attribute that the format doesn't have",
            "A_A/etc/webapi.xml:2 <service> x=…: an attribute that the format doesn't have",
            "A_A/etc/webapi.xml:3 <role> in <resources>: an element that the format doesn't have",
            "A_A/etc/webapi.xml:3 <throttle> in <route>: an element that the format doesn't have",
        ]
    );
}

#[test]
fn the_same_files_give_the_same_octets() {
    let files = [
        webapi(
            "B_B",
            "<route url=\"/V1/b\" method=\"POST\"><resources><resource ref=\"A_A::a\"/></resources></route>",
        ),
        acl("A_A", "<resource id=\"A_A::a\" title=\"Aaa\"/>"),
    ];

    let (one, other) = (imported(&files), imported(&files));

    assert_eq!(write::files(&one, &options()), write::files(&other, &options()));
    assert_eq!(one.notes, other.notes);
}
