use super::*;

fn refused(octets: &[u8]) -> (usize, String) {
    let error = parse("hostile.xml", octets).unwrap_err();
    assert_eq!(error.file, "hostile.xml");
    (error.line, error.what)
}

#[test]
fn elements_keep_their_lines_attributes_and_text() {
    let text = "\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- © -->\n<x:routes xmlns:x=\"urn:x\"\n \
                xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:noNamespaceSchemaLocation=\"a.xsd\">\n  \
                <route url=\"/V1/a&amp;b\" method='GET'/>\n  <data>one &lt;<![CDATA[ & two]]>&#33;</data>\n</x:routes>\n";

    let root = parse("a.xml", text.as_bytes()).unwrap();

    assert_eq!((root.name.as_str(), root.line, root.attributes.len()), ("routes", 3, 0));
    let route = root.all("route").next().unwrap();
    assert_eq!((route.line, route.attribute("url")), (5, Some("/V1/a&b")));
    let data = root.all("data").next().unwrap();
    assert_eq!((data.line, data.text.as_str()), (6, "one < & two!"));
}

#[test]
fn a_billion_laughs_and_external_entities_are_refused_at_the_document_type() {
    let laughs = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [\n<!ENTITY lol \"lol\">\n<!ENTITY lol2 \"&lol;&lol;\">\n]>\n<routes>&lol2;</routes>";
    let external = "<!DOCTYPE routes [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<routes>&x;</routes>";
    let remote = "\n\n<!DOCTYPE routes SYSTEM \"http://127.0.0.1:1/evil.dtd\">\n<routes/>";

    for (text, line) in [(laughs, 2), (external, 1), (remote, 3)] {
        let (at, what) = refused(text.as_bytes());
        assert_eq!((at, what.contains("document type")), (line, true), "{what}");
    }
}

#[test]
fn entities_that_nothing_declares_are_refused_in_text_and_attributes() {
    let (line, what) = refused(b"<routes>\n&lol;</routes>");
    assert_eq!(
        (line, what.as_str()),
        (2, "refers to the entity \"lol\", which XML doesn't know")
    );

    let (line, what) = refused(b"<routes>\n\n<route url=\"&lol;\"/></routes>");
    assert_eq!(line, 3);
    assert!(what.starts_with("attribute url"), "{what}");

    assert_eq!(refused(b"<routes>&#0;</routes>").0, 1);
    assert_eq!(refused(b"<routes>\n&#x1F;</routes>").0, 2);
    assert_eq!(refused(b"<routes url=\"a&#10;b\"/>").0, 1);
}

#[test]
fn deep_nesting_is_refused_where_it_passes_the_bound() {
    let deep = "<a>\n".repeat(100_000);

    let (line, what) = refused(deep.as_bytes());

    assert_eq!((line, what.as_str()), (65, "elements are nested deeper than 64"));
}

#[test]
fn many_elements_and_attributes_and_long_values_are_refused() {
    let elements = format!("<a>{}</a>", "<b/>\n".repeat(MOST_ELEMENTS));
    assert!(refused(elements.as_bytes()).1.contains("more than 200000 elements"));

    let attributes: Vec<String> = (0..100_000).map(|number| format!("a{number}=\"\"")).collect();
    let attributes = format!("<a>\n<b {}/></a>", attributes.join(" "));
    assert_eq!(
        refused(attributes.as_bytes()),
        (2, "an element has more than 64 attributes".to_owned())
    );

    let value = format!("<a>\n\n<b c=\"{}\"/></a>", "x".repeat(MOST_VALUE + 1));
    assert_eq!(
        refused(value.as_bytes()),
        (3, "attribute c is longer than 16384 octets".to_owned())
    );

    let name = format!("<a>\n<{}></a>", "x".repeat(1_000_000));
    let (_, what) = refused(name.as_bytes());
    assert!(what.len() < 400, "an error doesn't repeat a megabyte: {}", what.len());

    assert!(refused(&vec![b'<'; MOST_OCTETS + 1]).1.contains("4 MiB"));
}

#[test]
fn other_encodings_are_named_and_never_guessed() {
    let utf16: Vec<u8> = "<routes/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [0xFF, 0xFE].into_iter().chain(utf16.iter().copied()).collect();
    for octets in [utf16, marked] {
        assert_eq!(
            refused(&octets),
            (1, "is UTF-16 or UTF-32: save it as UTF-8".to_owned())
        );
    }

    let latin1 = b"<a>\n<b title=\"Caf\xE9\"/></a>";
    assert_eq!(
        refused(latin1),
        (2, "holds octets that aren't UTF-8: save it as UTF-8".to_owned())
    );

    let declared = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a/>";
    assert_eq!(
        refused(declared),
        (1, "says that it is \"ISO-8859-1\": save it as UTF-8".to_owned())
    );

    assert_eq!(refused(b"<a>\n\x01</a>").0, 2);
}

#[test]
fn a_file_cut_anywhere_is_refused_and_never_half_read() {
    let whole = "<?xml version=\"1.0\"?>\n<!-- c -->\n<routes>\n  <route url=\"/V1/a\" method=\"GET\">\n    <data>x &amp; \
                 <![CDATA[y]]></data>\n  </route>\n</routes>";
    assert!(parse("a.xml", whole.as_bytes()).is_ok());

    for end in 0..whole.len() {
        assert!(
            parse("a.xml", &whole.as_bytes()[..end]).is_err(),
            "cut after {end} octets"
        );
    }
}

#[test]
fn what_is_no_single_element_is_refused() {
    for text in [
        "",
        "   \n",
        "plain",
        "<a/><b/>",
        "<a></b>",
        "</a>",
        "<a/>text",
        "<a b=1/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a><b></a></b>",
    ] {
        assert!(parse("a.xml", text.as_bytes()).is_err(), "{text:?}");
    }
}
