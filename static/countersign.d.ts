/** Types of countersign.js. */
export interface User { name: string | null; email: string | null; image: string | null; [claim: string]: unknown }
export interface Session { user: User; expires: string; [claim: string]: unknown }
export interface Provider { id: string; name: string; type: string; signinUrl: string; callbackUrl: string }
export type State =
  | { status: "loading"; session: null }
  | { status: "authenticated"; session: Session }
  | { status: "unauthenticated"; session: null };
export interface SignInOptions { callbackUrl?: string; redirect?: boolean; [field: string]: unknown }
export interface SignInResult { error: string | null; status: number; ok: boolean; url: string | null }
export interface SignOutOptions { callbackUrl?: string; redirect?: boolean }
export interface SignOutResult { ok: boolean; status: number; url: string | null }
export interface SubscribeOptions {
  /** Seconds between refreshes; 0, the default, for none. */
  refetchInterval?: number;
  /** Whether to refresh when the tab becomes visible; true by default. */
  refetchOnFocus?: boolean;
}
/** Another base path than the one the script was loaded from. */
export function configure(options: { basePath?: string }): void;
/** The session, or null when nobody is signed in. Rejects when it cannot be told. */
export function getSession(): Promise<Session | null>;
/** The CSRF token that forms repeat. */
export function getCsrfToken(): Promise<string>;
/** The providers people can sign in with, by id. */
export function getProviders(): Promise<Record<string, Provider>>;
/** Signs in; with `redirect: false` resolves to what came of it. */
export function signIn(
  provider?: string, options?: SignInOptions, authorizationParams?: Record<string, string>,
): Promise<SignInResult | undefined>;
/** Signs out; with `redirect: false` resolves to what came of it. */
export function signOut(options?: SignOutOptions): Promise<SignOutResult | undefined>;
/** Calls `listener` now and on every change. Returns a function that stops it. */
export function subscribe(listener: (state: State) => void, options?: SubscribeOptions): () => void;
