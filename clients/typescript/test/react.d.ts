// As much of React as the README shows.
declare module "react" {
  export function useSyncExternalStore<T>(subscribe: (listener: () => void) => () => void, get: () => T): T;
}
