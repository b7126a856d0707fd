//! What was found of a grant once: looking into it is work that needs doing once a route and configuration.

/// A route, as long as this worker's configuration stands.
#[derive(Clone, Copy, Debug)]
pub struct RoutePlace {
    /// Counts the configurations that the worker has had, from one on.
    pub configuration: u64,
    /// The route's number in it.
    pub route: u32,
}

/// Which routes a grant was found to open: a bit for each of the first ones, so that no request after the first one looks
/// into the grant.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenedRoutes {
    configuration: u64,
    routes: [u64; 4],
}

impl OpenedRoutes {
    /// Whether it was found to open this route.
    pub fn holds(&self, place: RoutePlace) -> bool {
        let (word, bit) = Self::at(place.route);
        let routes = self
            .routes
            .get(word)
            .filter(|_| self.configuration == place.configuration);
        routes.is_some_and(|routes| routes & bit != 0)
    }

    /// It was found to. What was known of another configuration is forgotten.
    pub fn note(&mut self, place: RoutePlace) {
        if self.configuration != place.configuration {
            *self = Self {
                configuration: place.configuration,
                ..Self::default()
            };
        }
        let (word, bit) = Self::at(place.route);
        if let Some(routes) = self.routes.get_mut(word) {
            *routes |= bit;
        }
    }

    fn at(route: u32) -> (usize, u64) {
        (usize::try_from(route / 64).unwrap_or(usize::MAX), 1 << (route % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_is_known_for_that_route_of_that_configuration_only() {
        let place = |configuration, route| RoutePlace { configuration, route };
        let mut opened = OpenedRoutes::default();
        assert!(!opened.holds(place(1, 0)));

        for route in [0, 63, 64, 255, 256, u32::MAX] {
            opened.note(place(1, route));
        }

        let held = |opened: &OpenedRoutes, configuration| -> Vec<u32> {
            let routes = [0, 1, 62, 63, 64, 65, 254, 255, 256, u32::MAX].into_iter();
            routes
                .filter(|route| opened.holds(place(configuration, *route)))
                .collect()
        };
        assert_eq!(held(&opened, 1), [0, 63, 64, 255]);
        assert!(held(&opened, 2).is_empty());
        opened.note(place(2, 1));
        assert_eq!((held(&opened, 1), held(&opened, 2)), (vec![], vec![1]));
    }
}
