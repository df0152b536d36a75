// As much of Node.js as the verifier uses: types of it all would be one more dependency.

declare module "node:crypto" {
  export const webcrypto: Crypto;
}

declare const Buffer: {
  from(text: string, encoding: "base64url"): BufferSource;
};
