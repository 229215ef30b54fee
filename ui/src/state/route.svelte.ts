// Where the person is. The address bar holds it after the #, so Back and Forward work everywhere.
import { parseRoute, routeHash, type DialogName, type Route } from './route';

class Router {
  current = $state.raw<Route>(parseRoute(location.hash));
  /** How many of our own steps lie behind, so that Back never leaves the app by surprise. */
  #depth = 0;

  constructor() {
    addEventListener('hashchange', () => {
      this.current = parseRoute(location.hash);
    });
    addEventListener('popstate', () => {
      this.#depth = Math.max(0, this.#depth - 1);
    });
  }

  go(route: Route): void {
    const hash = routeHash(route);
    if (hash === routeHash(this.current)) return;
    this.#depth += 1;
    history.pushState(null, '', hash);
    this.current = route;
  }

  replace(route: Route): void {
    history.replaceState(null, '', routeHash(route));
    this.current = route;
  }

  /** One step back where that step is ours, otherwise up to the parent. */
  up(parent: Route): void {
    if (this.#depth > 0) history.back();
    else this.replace(parent);
  }
}

export const router = new Router();

/** Opens a dialog over whatever is shown. */
export function openDialog(dialog: DialogName, about?: string): void {
  const { about: _before, ...beneath } = router.current;
  router.go({ ...beneath, dialog, ...(about === undefined ? {} : { about }) });
}

export function closeDialog(): void {
  const { dialog: _closed, about: _about, ...beneath } = router.current;
  router.up(beneath);
}
