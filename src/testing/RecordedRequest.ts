/**
 * What a stub provider received, and what became of it.
 *
 * @since 0.1.0
 */

/**
 * How a request ended.
 *
 * **Details**
 *
 * - `hanging`: not answered yet, because the script delays or hangs.
 * - `answered`: the whole reply was handed to the socket.
 * - `aborted`: the client closed the connection before the reply was complete, or before its own request was.
 * - `reset`: the script reset the connection.
 * - `truncated`: the script closed the connection in the middle of the body.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "hanging" | "answered" | "aborted" | "reset" | "truncated"

/**
 * One request as it arrived, and its fate at the time of the reading.
 *
 * **Details**
 *
 * A record is a snapshot: read the records again to see what became of a request. `at` is the monotonic time of its
 * arrival in milliseconds, on the `Clock` of the fiber that made the stub: only differences between two of them mean
 * something. `connection` counts the sockets from 1, so two requests with the same number shared one.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecordedRequest {
  /** Counts the requests of one stub from 1. */
  readonly id: number
  readonly at: number
  readonly connection: number
  readonly method: string
  /** Path and query as they stood on the request line. */
  readonly url: string
  readonly path: string
  readonly query: URLSearchParams
  /** The route that answers it, or undefined where no script does. */
  readonly route: string | undefined
  readonly params: Readonly<Record<string, string>>
  /** Names in lower case; repeated headers are joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  /** As they arrived: case, order and repetitions kept. */
  readonly rawHeaders: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
  /** The body as JSON, or undefined where it is none. */
  readonly json: unknown
  /** The status that was answered, or undefined where no response headers were sent. */
  readonly status: number | undefined
  readonly outcome: Outcome
}
