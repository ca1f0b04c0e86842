// A value that the request cannot have. The field is named as in the protos: "lines[2].sku_id".
export class FieldError extends Error {
  constructor(
    readonly field: string,
    readonly detail: string,
  ) {
    super(`${field}: ${detail}`);
  }
}
