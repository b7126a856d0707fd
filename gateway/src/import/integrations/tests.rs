use token_store::{Grant, Setup};

use crate::import::own::Own;
use crate::import::tests::{acl, checked, file, imported, noted, options, webapi};
use crate::import::{self, Kind, Weight, XmlFile};

fn tree() -> XmlFile {
    acl(
        "Magento_Catalog",
        "<resource id=\"Magento_Catalog::catalog\" title=\"Catalog\"><resource id=\"Magento_Catalog::catalog_inventory\" \
         title=\"Inventory\"><resource id=\"Magento_Catalog::products\" title=\"Products\"/></resource></resource>\
         <resource id=\"Magento_Sales::sales\" title=\"Sales\"/>",
    )
}

fn integrations(module: &str, text: &str) -> XmlFile {
    file(Kind::Integrations, module, text)
}

#[test]
fn an_integration_gets_its_resources_with_all_ancestors() {
    let text = "<config><integration name=\"Shop sync\"><email>sync@p.example</email><endpoint_url>https://p.example/cb</endpoint_url>\
                <identity_link_url>https://p.example/login</identity_link_url><resources>\n<resource \
                name=\"Magento_Catalog::products\"/></resources></integration></config>";

    let imported = imported(&[tree(), integrations("Acme_Sync", text)]);

    let config = checked(&imported, &options());
    let made = &config.integrations[0];
    assert_eq!(
        (made.name.as_str(), made.email.as_str(), made.setup),
        ("Shop sync", "sync@p.example", Setup::Config)
    );
    assert_eq!(made.endpoint.as_deref(), Some("https://p.example/cb"));
    assert_eq!(made.identity_link_url.as_deref(), Some("https://p.example/login"));
    let ids = [
        "Magento_Backend::admin",
        "Magento_Catalog::catalog",
        "Magento_Catalog::catalog_inventory",
        "Magento_Catalog::products",
    ];
    assert_eq!(made.grant, Grant::Listed(ids.map(str::to_owned).into_iter().collect()));
    assert!(imported.notes.is_empty(), "{:?}", imported.notes);
}

#[test]
fn the_older_pair_of_files_makes_one_integration() {
    let config = "<integrations><integration name=\"Old\"><endpoint_url>https://old.example/cb</endpoint_url></integration></integrations>";
    let api = "<integrations><integration name=\"Old\"><resources><resource name=\"Magento_Sales::sales\"/></resources></integration></integrations>";

    let imported = imported(&[tree(), integrations("A_A", config), integrations("A_A", api)]);

    assert_eq!(imported.integrations.len(), 1);
    let made = &checked(&imported, &options()).integrations[0];
    assert_eq!(made.endpoint.as_deref(), Some("https://old.example/cb"));
    assert_eq!(
        made.grant,
        Grant::Listed(
            ["Magento_Backend::admin", "Magento_Sales::sales"]
                .map(str::to_owned)
                .into_iter()
                .collect()
        )
    );
}

#[test]
fn a_later_module_overrides_fields_and_adds_resources() {
    let first = "<config><integration name=\"X\"><email>a@a.example</email><resources><resource name=\"Magento_Sales::sales\"/></resources></integration></config>";
    let second = "<config><integration name=\"X\"><email>b@b.example</email><resources><resource name=\"Magento_Catalog::products\"/></resources></integration></config>";

    let imported = imported(&[tree(), integrations("A_A", first), integrations("B_B", second)]);

    let made = &imported.integrations[0];
    assert_eq!((made.definition.email.as_str(), made.places.len()), ("b@b.example", 2));
    let Grant::Listed(ids) = &made.definition.grant else {
        panic!("all")
    };
    assert!(ids.contains("Magento_Sales::sales") && ids.contains("Magento_Catalog::products"));
}

#[test]
fn what_cannot_be_is_told_and_the_rest_is_carried() {
    let text = "<config><integration name=\"Odd\"><email>nobody</email><endpoint_url>javascript:alert(1)</endpoint_url>\
                <identity_link_url>/relative</identity_link_url><resources>\n<resource name=\"No_Where::x\"/><resource \
                name=\"Magento_Sales::sales\"/><resource/></resources></integration>\n<integration/></config>";

    let imported = imported(&[tree(), integrations("A_A", text)]);

    let made = &imported.integrations[0].definition;
    assert_eq!(
        (made.email.as_str(), &made.endpoint, &made.identity_link_url),
        ("", &None, &None)
    );
    let lost = noted(&imported, Weight::NotCarried);
    assert_eq!(lost.len(), 6, "{lost:#?}");
    assert!(
        lost.iter()
            .any(|line| line.starts_with("A_A/etc/integration.xml:2 integration \"Odd\": No_Where::x")),
        "{lost:#?}"
    );
    checked(&imported, &options());
}

#[test]
fn what_only_a_route_names_is_not_granted() {
    let text = "<config><integration name=\"X\"><resources><resource name=\"Gone_Module::x\"/></resources></integration></config>";
    let route = "<route url=\"/V1/x\" method=\"GET\"><resources><resource ref=\"Gone_Module::x\"/></resources></route>";

    let imported = imported(&[tree(), webapi("A_A", route), integrations("A_A", text)]);

    assert_eq!(
        imported.integrations[0].definition.grant,
        Grant::Listed(std::collections::BTreeSet::new())
    );
    assert_eq!(noted(&imported, Weight::NotCarried).len(), 1);
}

#[test]
fn an_integration_of_the_operator_s_own_files_stays_theirs() {
    let mut own = Own::default();
    own.take("own.toml", "[[integrations]]\nname = \"X\"\n");

    let files = [
        tree(),
        integrations("A_A", "<config><integration name=\"X\"/></config>"),
    ];
    let imported = import::read(&files, &own, &options()).unwrap();

    assert!(imported.integrations.is_empty());
    assert_eq!(
        noted(&imported, Weight::Look),
        ["A_A/etc/integration.xml:1 integration \"X\": own.toml defines it: left to that file"]
    );
}

#[test]
fn a_name_that_only_api_xml_holds_makes_no_integration() {
    let of = |name: &str, text: &str| XmlFile {
        name: std::sync::Arc::from(format!("Acme_Sync/etc/integration/{name}")),
        ..integrations("Acme_Sync", text)
    };
    let config = "<integrations><integration name=\"Both\"><email>a@b.example</email></integration></integrations>";
    let resources = "<resources><resource name=\"Magento_Sales::sales\"/></resources>";
    let api = format!(
        "<integrations><integration name=\"Both\">{resources}</integration><integration \
         name=\"Alone\">{resources}</integration></integrations>"
    );

    let imported = imported(&[tree(), of("config.xml", config), of("api.xml", &api)]);

    let names: Vec<&str> = imported
        .integrations
        .iter()
        .map(|one| one.definition.name.as_str())
        .collect();
    assert_eq!(names, ["Both"]);
    let lost = noted(&imported, Weight::NotCarried);
    assert!(lost.len() == 1 && lost[0].contains("\"Alone\""), "{lost:?}");
}
